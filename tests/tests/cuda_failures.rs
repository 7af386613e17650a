//! Every driver call fails once: an error that says so or a recovery, books that agree, content that is right or refused,
//! nothing lost that can be freed, no panic. Then the same with errors that stay (E7).
//!
//! A small program is run once to count its calls; then once for every call of every function, with that call failing.
//! Not covered: calls that fail after they have had an effect.

use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, Error, HostBytes, PinnedBytes, VramHandle, VramManager};
use freehold_sim_control::{Live, Sim};

const BYTES: u64 = 1 << 16;
const UNKNOWN: u32 = 999;
const ILLEGAL_ADDRESS: u32 = 700;

fn pattern(seed: u8) -> Vec<u8> {
    (0..BYTES).map(|at| (at as u8).wrapping_mul(29) ^ (at >> 8) as u8 ^ seed).collect()
}

/// What the small program does, step by step: what failed is noted, and the program goes on with what it has.
#[derive(Default)]
struct Run {
    errors: Vec<Error>,
    wrong: Vec<String>,
}

impl Run {
    fn note<T>(&mut self, step: Result<T, impl Into<Error>>) -> Option<T> {
        step.map_err(|error| self.errors.push(error.into())).ok()
    }

    fn check(&mut self, handle: &VramHandle, seed: u8) {
        let mut found = vec![0; BYTES as usize];
        let read = handle.access().and_then(|access| access.read(0, &mut found));
        if self.note(read).is_some() && found != pattern(seed) {
            self.wrong.push(format!("{:?} has other bytes than it should", handle.label()));
        }
    }

    /// The whole program. `None` where there was no card to run it on.
    fn all(&mut self) -> Option<()> {
        let device = self.note(CudaDevice::new(0))?;
        let stream = device.context().new_stream().ok();
        let builder = VramManager::builder().device(device.clone()).budget(Bytes(4 * BYTES));
        let manager = self.note(builder.build())?;
        let pinned = PinnedBytes::copy_of(&pattern(2)).expect("memory");
        self.note(device.register(&pinned)); // where it fails, staging does
        let sourced = |seed: u8| Allocation::new(Bytes(BYTES)).source(HostBytes(pattern(seed).into()));
        let first = self.note(manager.register(sourced(1).label("sourced")))?;
        let second = self.note(manager.register(Allocation::new(Bytes(BYTES)).label("pinned").source(pinned)));
        let spilled = Allocation::new(Bytes(BYTES)).label("spilled");
        let mut third = self.note(manager.allocate(spilled));
        let written = third.as_mut().is_some_and(|handle| {
            let write = handle.access_mut().and_then(|mut access| access.write(0, &pattern(3)));
            self.note(write).is_some()
        });
        for round in 0..2 {
            self.check(&first, 1);
            second.iter().for_each(|handle| self.check(handle, 2));
            third.iter().filter(|_| written).for_each(|handle| self.check(handle, 3));
            if let Some(stream) = &stream {
                self.note(first.access_on(stream));
                second.iter().for_each(|handle| drop(self.note(handle.access_on(stream))));
            }
            self.note(manager.evict_for_space(Bytes(4 * BYTES)));
            let fixed: Vec<_> =
                (0..4).filter_map(|_| self.note(manager.allocate(Allocation::new(Bytes(BYTES)).fixed()))).collect();
            drop(fixed.into_iter().enumerate().filter(|(at, _)| at % 2 == round).collect::<Vec<_>>());
            self.note(manager.allocate(Allocation::new(Bytes(2 * BYTES)).fixed()));
        }
        // The call that fails may be one of these too; but it fails once, so what follows a failure succeeds.
        let mut before = self.errors.len();
        for _ in 0..2 {
            before = self.errors.len();
            self.check(&first, 1);
            second.iter().for_each(|handle| self.check(handle, 2));
            third.iter().filter(|_| written).for_each(|handle| self.check(handle, 3));
            if self.errors.len() == before {
                break;
            }
        }
        if let Err(books) = manager.audit() {
            self.wrong.push(books.to_string());
        }
        self.wrong.extend(self.errors[before..].iter().map(|error| format!("again: {error}")));
        Some(())
    }
}

#[test]
fn every_call_may_fail_once() {
    let sim = Sim::late(1);
    if sim.on_card() {
        return;
    }
    let mut good = Run::default();
    good.all().expect("nothing fails");
    assert!(good.errors.is_empty() && good.wrong.is_empty(), "{:?} {:?}", good.errors, good.wrong);
    let counts = sim.counts();
    let calls: u64 = counts.iter().map(|(_, count)| count).sum();
    assert!(counts.len() > 20 && calls > 150, "{calls} calls: {counts:?}");
    for (name, count) in &counts {
        for nth in 1..=*count {
            sim.reset(Default::default());
            sim.fail(name, nth, UNKNOWN, false);
            let mut run = Run::default();
            run.all();
            let told = format!("call {nth} of {name}");
            assert!(run.wrong.is_empty(), "{told}: {:?}", run.wrong);
            assert!(run.errors.iter().all(typed), "{told}: {:?}", run.errors);
            assert_eq!(sim.report(), "", "{told}");
            assert!(lost(sim.live()) <= 1, "{told}: {:?} left", sim.live());
            assert!(sim.live() == Live::default() || gives_back(name), "{told}: {:?} left", sim.live());
        }
    }
}

#[test]
fn a_device_may_be_lost_at_any_call() {
    let sim = Sim::late(1);
    if sim.on_card() {
        return;
    }
    Run::default().all().expect("nothing fails");
    for (name, count) in sim.counts() {
        for nth in 1..=count {
            sim.reset(Default::default());
            sim.fail(&name, nth, ILLEGAL_ADDRESS, true);
            let mut run = Run::default();
            run.all();
            let told = format!("lost at call {nth} of {name}");
            let lies: Vec<&String> = run.wrong.iter().filter(|wrong| !wrong.starts_with("again")).collect();
            assert!(lies.is_empty(), "{told}: {lies:?}");
            assert!(run.errors.iter().all(typed), "{told}: {:?}", run.errors);
            sim.break_with(0);
        }
    }
}

#[test]
fn a_driver_that_has_shut_down_is_told_and_dropped_in_silence() {
    let sim = Sim::late(1);
    if sim.on_card() {
        return;
    }
    let device = CudaDevice::new(0).expect("a card");
    let manager = VramManager::builder().device(device).budget(Bytes(4 * BYTES)).build().expect("a manager");
    let allocation = Allocation::new(Bytes(BYTES)).label("left behind").source(HostBytes(pattern(1).into()));
    let handle = manager.allocate(allocation).expect("room");
    sim.break_with(4); // deinitialised, as at the end of a process
    let mut bytes = [0; 16];
    assert!(matches!(handle.access().and_then(|access| access.read(0, &mut bytes)), Err(Error::Device(_))));
    let report = manager.close();
    assert_eq!(report.live.len(), 1, "the leak report is honest all the same");
    assert!(report.device_errors.iter().any(|error| error.contains("DEINITIALIZED")), "{report:?}");
    drop((handle, manager));
    sim.break_with(0);
}

/// Device errors, and what follows from them: never one that blames the caller.
fn typed(error: &Error) -> bool {
    matches!(error, Error::Device(_) | Error::OutOfMemory { .. })
}

/// Calls whose failing leaves something behind that nobody can free any more.
fn gives_back(name: &str) -> bool {
    // cudarc retains the context, asks for an attribute, and forgets the context where it gets no answer.
    name == "cuDeviceGetAttribute"
        || name.contains("Free")
        || name.contains("Destroy")
        || name.contains("Unregister")
        || name.contains("Release")
        || name.contains("Ctx")
}

fn lost(live: Live) -> u64 {
    // Giving streams, events and pinned buffers back begins with entering the context: where that fails, all of them stay.
    live.regions + live.contexts
}
