//! The simulated driver sees: races, lifetimes, faults and early writes are reported, and a right program is not.
//!
//! Not covered: that a real driver behaves like it. Most of these programs are wrong on purpose, so none runs on a card; the
//! other `cuda_*` tests run on both.

#![allow(unsafe_code, reason = "raw driver calls, some of them wrong on purpose")]

use freehold_cuda::cudarc::driver::result::{self, DriverError};
use freehold_cuda::cudarc::driver::{CudaContext, CudaStream, sys};
use freehold_sim_control::{Live, Sim, World};
use std::sync::Arc;

const BYTES: usize = 4096;

struct Program {
    context: Arc<CudaContext>,
    memory: u64,
}

impl Program {
    fn new() -> Self {
        let context = CudaContext::new(0).expect("a simulated card");
        // SAFETY: the context is bound; the memory is freed when the program ends.
        let memory = unsafe { result::malloc_sync(BYTES) }.expect("memory");
        Program { context, memory }
    }

    fn stream(&self) -> Arc<CudaStream> {
        self.context.new_stream().expect("a stream")
    }

    fn write(&self, stream: &CudaStream, byte: u8) {
        // SAFETY: the memory is live.
        unsafe { result::memset_d8_async(self.memory, byte, BYTES, stream.cu_stream()) }.expect("a set");
    }

    fn read(&self) -> Vec<u8> {
        let mut bytes = vec![0; BYTES];
        // SAFETY: the memory is live.
        unsafe { result::memcpy_dtoh_sync(&mut bytes, self.memory) }.expect("a copy");
        bytes
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.context.synchronize().expect("streams end");
        // SAFETY: allocated in `new`; nobody uses it any more.
        unsafe { result::free_sync(self.memory) }.expect("a free");
    }
}

/// The simulated driver, unless the machine's own is to be used.
fn simulated(world: World) -> Option<Sim> {
    let sim = Sim::with(world);
    (!sim.on_card()).then_some(sim)
}

#[test]
fn two_streams_without_an_event_race_and_with_one_do_not() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    let (first, second) = (program.stream(), program.stream());
    program.write(&first, 1);
    program.write(&second, 2);
    assert_eq!(sim.report().lines().count(), 1, "{}", sim.report());
    assert!(
        sim.report().starts_with(
            "race: set (work 2, stream 2) writes 4096 bytes at allocation 1+0x0, which set (work 1, stream 1)"
        ),
        "{}",
        sim.report()
    );
    program.context.synchronize().expect("streams end");

    program.write(&first, 3);
    second.join(&first).expect("an order");
    program.write(&second, 4);
    second.synchronize().expect("a stream ends");
    assert_eq!(program.read(), [4; BYTES]);
    assert_eq!(sim.report().lines().count(), 1, "the second pair was ordered: {}", sim.report());
}

#[test]
fn the_report_is_the_same_in_every_run() {
    let run = |seed| {
        let Some(sim) = simulated(World { seed, ..World::default() }) else { return String::new() };
        let program = Program::new();
        let streams = [program.stream(), program.stream(), program.stream()];
        streams.iter().for_each(|stream| program.write(stream, 7));
        sim.report()
    };
    let first = run(1);
    let findings = if Sim::late(1).on_card() { 0 } else { 2 };
    assert_eq!(first.lines().count(), findings, "{first}");
    assert_eq!(first, run(2));
}

#[test]
fn work_runs_late_and_the_seed_decides_which_first() {
    if Sim::late(0).on_card() {
        return;
    }
    let outcome = |seed| {
        let sim = Sim::late(seed);
        let program = Program::new();
        let (first, second) = (program.stream(), program.stream());
        program.write(&first, 1);
        program.write(&second, 2);
        assert_eq!(sim.pending(), 2, "nothing has run before somebody waits");
        program.context.synchronize().expect("streams end");
        program.read()[0]
    };
    let outcomes: Vec<u8> = (0..20).map(outcome).collect();
    assert!(outcomes.contains(&1) && outcomes.contains(&2), "{outcomes:?}");
    assert_eq!(outcomes, (0..20).map(outcome).collect::<Vec<_>>(), "a seed repeats itself");
}

#[test]
fn touching_freed_memory_or_past_the_end_is_refused_and_reported() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    let stream = program.stream();
    let host = [0_u8; BYTES];
    // SAFETY: wrong on purpose: the driver refuses it.
    let past = unsafe { result::memcpy_htod_async(program.memory + 1, &host, stream.cu_stream()) };
    assert_eq!(past, Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE)));
    let freed = program.memory;
    drop(program);
    // SAFETY: wrong on purpose: the driver refuses it.
    let after = unsafe { result::memcpy_htod_async(freed, &host, stream.cu_stream()) };
    assert_eq!(after, Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE)));
    // SAFETY: wrong on purpose: the driver refuses it.
    let twice = unsafe { result::free_sync(freed) };
    assert_eq!(twice, Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE)));
    let report = sim.report();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 3, "{report}");
    assert!(lines[0].contains("touches bytes behind allocation 1"), "{report}");
    assert!(lines[1].contains("after it was freed") && lines[2].contains("after it was freed"), "{report}");
}

#[test]
fn freeing_what_a_stream_still_uses_is_reported() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    // SAFETY: the context is bound.
    let memory = unsafe { result::malloc_sync(BYTES) }.expect("memory");
    let stream = program.stream();
    // SAFETY: the memory is live.
    unsafe { result::memset_d8_async(memory, 1, BYTES, stream.cu_stream()) }.expect("a set");
    // SAFETY: wrong on purpose: the stream may still write.
    unsafe { result::free_sync(memory) }.expect("the driver waits by itself");
    assert!(
        sim.report().starts_with("lifetime: allocation 2+0x0 is freed while set (work 1, stream 1)"),
        "{}",
        sim.report()
    );
}

#[test]
fn a_pinned_source_overwritten_before_its_copy_is_reported() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    let stream = program.stream();
    // SAFETY: memory of its own.
    let pinned = unsafe { result::malloc_host(BYTES, 0) }.expect("pinned memory").cast::<u8>();
    // SAFETY: fresh memory of that length.
    unsafe { pinned.write_bytes(1, BYTES) };
    // SAFETY: it was just written.
    let bytes = unsafe { std::slice::from_raw_parts(pinned, BYTES) };
    // SAFETY: both sides are live.
    unsafe { result::memcpy_htod_async(program.memory, bytes, stream.cu_stream()) }.expect("a copy");
    // SAFETY: wrong on purpose: the copy has not run.
    unsafe { pinned.write(2) };
    stream.synchronize().expect("a stream ends");
    assert!(sim.report().contains("the host wrote to the pinned source"), "{}", sim.report());
    assert_eq!(program.read()[..2], [2, 1], "and the card got what was there when the copy ran");
    // SAFETY: it came from `malloc_host`.
    unsafe { result::free_host(pinned.cast()) }.expect("a free");
}

#[test]
fn a_call_can_be_made_to_fail_and_the_memory_has_a_limit() {
    let Some(sim) = simulated(World { bytes: 1 << 20, ..World::default() }) else { return };
    let program = Program::new();
    let out_of_memory = Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY));
    // SAFETY: the context is bound.
    assert_eq!(unsafe { result::malloc_sync(1 << 20) }, out_of_memory);
    sim.foreign((1 << 20) - BYTES as u64);
    // SAFETY: as above.
    assert_eq!(unsafe { result::malloc_sync(1) }, out_of_memory);
    sim.foreign(0);
    sim.fail("cuMemGetInfo_v2", 2, 999, false);
    assert!(result::mem_get_info().is_ok());
    assert!(result::mem_get_info().is_err());
    assert!(result::mem_get_info().is_ok());
    assert_eq!(sim.count("cuMemGetInfo_v2"), 3);
    sim.break_with(719);
    assert!(result::mem_get_info().is_err() && program.context.synchronize().is_err());
    sim.break_with(0);
    drop(program);
    assert_eq!(sim.live(), Live::default(), "everything was given back");
}

#[test]
fn memory_in_stream_order_is_watched_too() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    let (first, second) = (program.stream(), program.stream());
    // SAFETY: the stream is live; the memory is freed on it.
    let memory = unsafe { result::malloc_async(first.cu_stream(), BYTES) }.expect("memory");
    // SAFETY: the memory is live.
    unsafe { result::memset_d8_async(memory, 1, BYTES, first.cu_stream()) }.expect("a set");
    assert_eq!(sim.report(), "", "one stream is in order");
    // SAFETY: wrong on purpose: nothing puts this stream behind the other.
    unsafe { result::memset_d8_async(memory, 2, BYTES, second.cu_stream()) }.expect("a set");
    second.synchronize().expect("a stream ends");
    // SAFETY: as it should be.
    unsafe { result::free_async(memory, first.cu_stream()) }.expect("a free");
    // SAFETY: wrong on purpose: it was freed.
    let after = unsafe { result::memset_d8_async(memory, 3, BYTES, first.cu_stream()) };
    assert_eq!(after, Err(DriverError(sys::CUresult::CUDA_ERROR_INVALID_VALUE)));
    let report = sim.report();
    let lines: Vec<&str> = report.lines().collect();
    assert_eq!(lines.len(), 2, "{report}");
    assert!(lines[0].starts_with("race: set") && lines[1].contains("after it was freed"), "{report}");
    drop((program, first, second));
    assert_eq!(sim.live(), Live::default());
}

#[test]
fn a_capture_that_is_disturbed_is_reported() {
    let Some(sim) = simulated(World { seed: 1, ..World::default() }) else { return };
    let program = Program::new();
    let stream = program.stream();
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL).expect("a capture");
    let refused = Some(DriverError(sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
    // SAFETY: the context is bound.
    assert_eq!(unsafe { result::malloc_sync(BYTES) }.err(), refused);
    // SAFETY: the memory is live.
    let given = unsafe { result::memset_d8_async(program.memory, 1, BYTES, stream.cu_stream()) };
    assert_eq!(given.err(), refused);
    let report = sim.report();
    assert_eq!(report.lines().filter(|line| line.starts_with("capture: ")).count(), 2, "{report}");
    // SAFETY: the stream is being captured.
    let _ = unsafe { result::stream::end_capture(stream.cu_stream()) };
}
