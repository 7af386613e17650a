//! Work on streams is ordered (F1 to F5): behind the bytes it needs, and before whoever gets the memory next, without the
//! host ever waiting for it. On the simulated driver work runs as late as the program allows, in the order of 20 seeds.
//!
//! Each test fails when its ordering is taken out; the commit that brought them says how that was tried.
//! Not covered: graphs that are launched after their capture (a captured address is refused instead).
#![allow(unsafe_code, reason = "kernels are launched on addresses")]

use freehold_cuda::cudarc::driver::{
    CudaFunction, CudaModule, CudaSlice, CudaStream, DevicePtr, LaunchConfig, PushKernelArg, sys,
};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, Error, HostBytes, PinnedBytes, VramHandle, VramManager};
use freehold_sim_control::{Live, Sim};
use std::sync::Arc;

/// Elements of a buffer; a manager has room for as many as a test says.
const COUNT: u64 = 4096;
const BYTES: u64 = 4 * COUNT;

struct Plugin {
    device: Arc<CudaDevice>,
    manager: VramManager,
    module: Arc<CudaModule>,
}

impl Plugin {
    /// A manager with room for `buffers` of them.
    fn new(buffers: u64) -> Self {
        let device = CudaDevice::new(0).expect("a card");
        let builder = VramManager::builder().device(device.clone()).budget(Bytes(buffers * BYTES));
        let ptx = freehold_cuda::cudarc::nvrtc::Ptx::from_src(include_str!("../../cuda/examples/kernels.ptx"));
        let module = device.context().load_module(ptx).expect("kernels");
        Plugin { manager: builder.build().expect("a manager"), device, module }
    }

    fn stream(&self) -> Arc<CudaStream> {
        self.device.context().new_stream().expect("a stream")
    }

    fn kernel(&self, name: &str) -> CudaFunction {
        self.module.load_function(name).expect("a kernel")
    }

    fn sourced(&self, seed: u32) -> Allocation {
        Allocation::new(Bytes(BYTES)).source(HostBytes(bytes(seed).into()))
    }

    fn pinned(&self, seed: u32) -> Allocation {
        let source = PinnedBytes::copy_of(&bytes(seed)).expect("memory");
        self.device.register(&source).expect("the driver takes it");
        Allocation::new(Bytes(BYTES)).source(source)
    }

    fn allocate(&self, allocation: Allocation) -> VramHandle {
        self.manager.allocate(allocation).expect("room")
    }

    /// Launches a kernel that reads a buffer and writes what it reads to memory of the program's own.
    fn read_later(&self, handle: &VramHandle, stream: &Arc<CudaStream>) -> CudaSlice<u8> {
        let target = stream.alloc_zeros::<u8>(BYTES as usize).expect("memory");
        let access = handle.access_on(stream).expect("content");
        let (to, _recorded) = target.device_ptr(stream);
        // SAFETY: the kernel takes two addresses of `COUNT` elements each.
        unsafe {
            stream.launch_builder(&self.kernel("copy")).arg(&to).arg(&access.device_ptr()).arg(&COUNT).launch(grid())
        }
        .expect("a launch");
        drop(_recorded);
        target
    }

    /// Launches a kernel that fills a buffer.
    fn fill_later(&self, handle: &mut VramHandle, stream: &Arc<CudaStream>, value: u32) {
        let count = handle.bytes().get() / 4;
        let access = handle.access_mut_on(stream).expect("content");
        // SAFETY: the kernel takes an address, and how many elements there are.
        unsafe {
            stream
                .launch_builder(&self.kernel("fill"))
                .arg(&access.device_ptr())
                .arg(&value)
                .arg(&count)
                .launch(LaunchConfig::for_num_elems(count as u32))
        }
        .expect("a launch");
    }

    fn finish(self, sim: &Sim) {
        self.manager.audit().expect("the books agree");
        drop(self);
        assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
    }
}

/// The bytes of a buffer, of which a failure prints the first few.
#[derive(PartialEq)]
struct Content(Vec<u8>);

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes beginning with {:?}", self.0.len(), &self.0[..8.min(self.0.len())])
    }
}

fn grid() -> LaunchConfig {
    LaunchConfig::for_num_elems(COUNT as u32)
}

fn bytes(seed: u32) -> Vec<u8> {
    (0..COUNT as u32).flat_map(|at| (at.wrapping_mul(2_654_435_761) ^ seed).to_le_bytes()).collect()
}

/// What a buffer holds that came from the source of this seed.
fn source(seed: u32) -> Content {
    Content(bytes(seed))
}

fn filled(value: u32) -> Content {
    Content((0..COUNT).flat_map(|_| value.to_le_bytes()).collect())
}

/// What a copy of the program's own holds once its stream is through.
fn landed(stream: &Arc<CudaStream>, copy: &CudaSlice<u8>) -> Content {
    let landed = stream.clone_dtoh(copy).expect("a copy");
    stream.synchronize().expect("a stream ends");
    Content(landed)
}

fn content(handle: &VramHandle) -> Content {
    let mut content = vec![0; BYTES as usize];
    handle.access().expect("content").read(0, &mut content).expect("a copy");
    Content(content)
}

/// Runs a test under many seeds of the simulated driver.
fn seeds(test: impl Fn(&Sim)) {
    (0..20).for_each(|seed| test(&Sim::late(seed)));
}

#[test]
fn f1_memory_freed_in_use_is_reused_behind_that_use() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let (first, second) = (plugin.stream(), plugin.stream());
        let freed = plugin.allocate(plugin.sourced(1));
        let seen = plugin.read_later(&freed, &first);
        let waits = sim.host_waits();
        drop(freed);
        let mut next = plugin.allocate(Allocation::new(Bytes(BYTES)).fixed());
        plugin.fill_later(&mut next, &second, 7);
        assert_eq!(sim.host_waits(), waits, "the host waits for nothing");
        assert_eq!(landed(&first, &seen), source(1), "the kernel read what was there when it was launched");
        assert_eq!(content(&next), filled(7));
        drop((next, seen, first, second));
        plugin.finish(sim);
    });
}

#[test]
fn f1_memory_reused_on_the_same_stream_waits_for_nothing() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let stream = plugin.stream();
    let mut freed = plugin.allocate(Allocation::new(Bytes(BYTES)).fixed());
    plugin.fill_later(&mut freed, &stream, 1);
    let (records, waits) = (sim.count("cuEventRecord"), sim.count("cuStreamWaitEvent"));
    drop(freed);
    let mut next = plugin.allocate(Allocation::new(Bytes(BYTES)).fixed());
    plugin.fill_later(&mut next, &stream, 2);
    assert_eq!((sim.count("cuEventRecord"), sim.count("cuStreamWaitEvent")), (records, waits), "no event at all");
    assert_eq!(content(&next), filled(2));
    drop((next, stream));
    plugin.finish(&sim);
}

#[test]
fn f1_memory_freed_on_a_stream_is_reused_behind_it() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let (first, second) = (plugin.stream(), plugin.stream());
        let handle = plugin.allocate(plugin.sourced(3));
        // A use that the manager is not told of: only the address leaves the guard.
        let (address, seen) = (handle.access().expect("content").device_ptr(), first.alloc_zeros::<u8>(BYTES as usize));
        let seen = seen.expect("memory");
        // SAFETY: two addresses of `COUNT` elements.
        unsafe {
            let (to, _recorded) = seen.device_ptr(&first);
            first.launch_builder(&plugin.kernel("copy")).arg(&to).arg(&address).arg(&COUNT).launch(grid())
        }
        .expect("a launch");
        handle.free_on(&first).expect("a stream of this card");
        let mut next = plugin.allocate(Allocation::new(Bytes(BYTES)).fixed());
        plugin.fill_later(&mut next, &second, 7);
        assert_eq!(landed(&first, &seen), source(3));
        drop((next, seen, first, second));
        plugin.finish(sim);
    });
}

#[test]
fn f2_eviction_waits_for_the_kernel_that_reads() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let stream = plugin.stream();
        let (evicted, next) = (plugin.allocate(plugin.sourced(1)), plugin.pinned(2));
        let seen = plugin.read_later(&evicted, &stream);
        let waits = sim.host_waits();
        let next = plugin.allocate(next); // evicts, and its bytes come into the same block
        assert!(!evicted.is_resident());
        assert_eq!(sim.host_waits(), waits, "the host waits for nothing");
        assert_eq!(landed(&stream, &seen), source(1));
        assert_eq!(content(&next), source(2));
        drop(next);
        assert_eq!(content(&evicted), source(1));
        drop((evicted, seen, stream));
        plugin.finish(sim);
    });
}

#[test]
fn f2_what_a_kernel_writes_is_spilled_after_it_has_written() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let stream = plugin.stream();
        let mut written = plugin.allocate(Allocation::new(Bytes(BYTES)));
        plugin.fill_later(&mut written, &stream, 5);
        let next = plugin.allocate(plugin.sourced(2));
        assert!(!written.is_resident());
        drop(next);
        assert_eq!(content(&written), filled(5));
        drop((written, stream));
        plugin.finish(sim);
    });
}

#[test]
fn f3_a_kernel_launched_at_once_on_an_absent_buffer_sees_it_complete() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let stream = plugin.stream();
        for (allocation, seed) in [(plugin.pinned(4), 4), (plugin.sourced(5), 5)] {
            let handle = plugin.manager.register(allocation).expect("a handle");
            let waits = sim.host_waits();
            let seen = plugin.read_later(&handle, &stream);
            assert_eq!(sim.host_waits(), waits, "the host waits for nothing");
            assert!(sim.on_card() || sim.pending() > 0, "nothing has run yet");
            assert_eq!(landed(&stream, &seen), source(seed));
        }
        drop(stream);
        plugin.finish(sim);
    });
}

#[test]
fn f3_a_reader_on_another_stream_is_behind_the_writer() {
    seeds(|sim| {
        let plugin = Plugin::new(2);
        let (first, second) = (plugin.stream(), plugin.stream());
        let mut shared = plugin.allocate(plugin.sourced(1));
        plugin.fill_later(&mut shared, &first, 9);
        let seen = plugin.read_later(&shared, &second);
        plugin.fill_later(&mut shared, &first, 10); // and the next writer is behind the reader
        assert_eq!(landed(&second, &seen), filled(9));
        assert_eq!(content(&shared), filled(10));
        drop((shared, seen, first, second));
        plugin.finish(sim);
    });
}

#[test]
fn f4_staging_is_not_overwritten_before_its_copy_is_done() {
    let sim = Sim::late(1);
    let device = CudaDevice::new(0).expect("a card");
    let large = 40_u64 << 20; // ten staging buffers, of which there are four
    let manager = VramManager::builder().device(device).budget(Bytes(large)).build().expect("a manager");
    let source: Vec<u8> = (0..large).map(|at| (at >> 20) as u8 ^ at as u8).collect();
    let handle = manager.allocate(Allocation::new(Bytes(large)).source(HostBytes(source.clone().into())));
    let handle = handle.expect("room");
    let mut content = vec![0; large as usize];
    handle.access().expect("content").read(0, &mut content).expect("a copy");
    assert!(content == source, "the content is the source's");
    drop((handle, manager));
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}

#[test]
fn f5_a_stream_that_is_being_captured_is_refused() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let stream = plugin.stream();
    let handle = plugin.allocate(plugin.sourced(1));
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).expect("a capture");
    let refused = handle.access_on(&stream).expect_err("the address may be another's when the graph is launched");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("captured")), "{refused}");
    assert_eq!(plugin.manager.evict_for_space(Bytes(BYTES)).expect("nothing is pinned").len(), 1);
    let raw = stream.cu_stream();
    // SAFETY: the stream is being captured.
    let _ = unsafe { freehold_cuda::cudarc::driver::result::stream::end_capture(raw) };
    assert_eq!(landed(&stream, &plugin.read_later(&handle, &stream)), source(1), "afterwards it may be used again");
    drop((handle, stream));
    plugin.finish(&sim);
}

#[test]
fn f5_what_a_stream_used_before_a_capture_is_reused_after_it_and_the_graph_stays_clean() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let stream = plugin.stream();
    let used = plugin.allocate(plugin.sourced(1));
    let seen = plugin.read_later(&used, &stream);
    stream.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).expect("a capture");
    let next = plugin.manager.register(plugin.sourced(2)).expect("a handle");
    let refused = next.access().expect_err("nobody can be put behind this stream now");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("CAPTURE")), "{refused}");
    let raw = stream.cu_stream();
    // SAFETY: the stream is being captured.
    let _ = unsafe { freehold_cuda::cudarc::driver::result::stream::end_capture(raw) };
    assert_eq!(content(&next), source(2), "afterwards it can be had");
    assert_eq!(landed(&stream, &seen), source(1), "and came after the reader all the same");
    drop((used, next, seen, stream));
    plugin.finish(&sim);
}

#[test]
fn f5_a_capture_elsewhere_is_not_disturbed_by_new_memory() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let (elsewhere, stream) = (plugin.stream(), plugin.stream());
    elsewhere.begin_capture(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_GLOBAL).expect("a capture");
    let manager = VramManager::builder().device(plugin.device.clone()).budget(Bytes(4 * BYTES)).build();
    let manager = manager.expect("a region of its own");
    let handle = manager.allocate(plugin.pinned(1)).expect("room");
    let spilled = manager.allocate(Allocation::new(Bytes(BYTES))).expect("room");
    drop(handle.access_on(&stream).expect("another stream is free to use"));
    manager.evict_for_space(Bytes(4 * BYTES)).expect("all may leave");
    assert_eq!(content(&handle), source(1));
    let raw = elsewhere.cu_stream();
    // SAFETY: the stream is being captured.
    let ended = unsafe { freehold_cuda::cudarc::driver::result::stream::end_capture(raw) };
    assert!(ended.is_ok(), "the capture is whole: {ended:?}");
    drop((handle, spilled, manager, elsewhere, stream));
    plugin.finish(&sim);
}

#[test]
fn the_default_stream_of_each_thread_is_refused() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let handle = plugin.allocate(plugin.sourced(1));
    let stream = plugin.device.context().per_thread_stream();
    let refused = handle.access_on(&stream).expect_err("one handle, many streams");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("same handle")), "{refused}");
    drop((handle, stream));
    plugin.finish(&sim);
}

/// Bytes come in, are moved and go out on streams of their own: what one of them does to a block, the next is behind.
#[test]
fn what_comes_in_is_moved_after_it_came_and_what_comes_next_comes_after_the_move() {
    seeds(|sim| {
        let plugin = Plugin::new(5);
        let mut handles: Vec<Option<VramHandle>> =
            (0..5).map(|seed| Some(plugin.allocate(plugin.pinned(seed)))).collect();
        let waits = sim.host_waits();
        (handles[0], handles[2]) = (None, None); // their copies in may still be under way
        let large = PinnedBytes::copy_of(&[bytes(8), bytes(9)].concat()).expect("memory");
        plugin.device.register(&large).expect("the driver takes it");
        // Fits only once somebody has moved, and comes into the place that the moved one has left.
        let large = plugin.allocate(Allocation::new(Bytes(2 * BYTES)).source(large));
        assert!(plugin.manager.stats().moves > 0 && plugin.manager.stats().evictions == 0);
        let spared = sim.host_waits() - waits;
        assert!(spared <= 2, "the host waits for the two sources that went, and for nothing else: {spared}");
        let mut found = vec![0; 2 * BYTES as usize];
        large.access().expect("content").read(0, &mut found).expect("a copy");
        assert_eq!(Content(found), Content([bytes(8), bytes(9)].concat()));
        for kept in [1, 3, 4] {
            assert_eq!(content(handles[kept].as_ref().expect("there")), source(kept as u32), "handle {kept}");
        }
        drop((handles, large));
        plugin.finish(sim);
    });
}

#[test]
fn what_was_moved_is_spilled_after_its_move() {
    seeds(|sim| {
        let plugin = Plugin::new(4);
        let stream = plugin.stream();
        let mut handles: Vec<Option<VramHandle>> =
            (0..4).map(|_| Some(plugin.allocate(Allocation::new(Bytes(BYTES))))).collect();
        for (value, handle) in (0..).zip(&mut handles) {
            plugin.fill_later(handle.as_mut().expect("all are there"), &stream, value);
        }
        (handles[0], handles[2]) = (None, None);
        drop(plugin.allocate(Allocation::new(Bytes(2 * BYTES)).fixed()));
        assert!(plugin.manager.stats().moves > 0);
        plugin.manager.evict_for_space(Bytes(4 * BYTES)).expect("all may leave");
        for kept in [1, 3] {
            assert_eq!(content(handles[kept].as_ref().expect("there")), filled(kept as u32), "handle {kept}");
        }
        drop((handles, stream));
        plugin.finish(sim);
    });
}

#[test]
fn a_buffer_that_is_moved_in_use_arrives_after_its_reader() {
    seeds(|sim| {
        let plugin = Plugin::new(4);
        let stream = plugin.stream();
        let fixed = || Allocation::new(Bytes(BYTES)).fixed();
        let mut handles: Vec<Option<VramHandle>> = (0..4).map(|_| Some(plugin.allocate(fixed()))).collect();
        let (writer, reader) = (plugin.stream(), plugin.stream());
        for (value, handle) in (0..).zip(&mut handles) {
            let stream = if value % 2 == 0 { &stream } else { &writer }; // what goes and what stays have nothing in common
            plugin.fill_later(handle.as_mut().expect("all are there"), stream, value);
        }
        let seen: Vec<CudaSlice<u8>> =
            [1, 3].map(|kept| plugin.read_later(handles[kept].as_ref().expect("there"), &reader)).into();
        (handles[0], handles[2]) = (None, None);
        let mut large = plugin.allocate(Allocation::new(Bytes(2 * BYTES)).fixed()); // fits only once somebody has moved
        plugin.fill_later(&mut large, &stream, 8);
        assert!(plugin.manager.stats().moves > 0);
        for (seen, kept) in seen.iter().zip([1_usize, 3]) {
            assert_eq!(landed(&reader, seen), filled(kept as u32), "handle {kept} before its move");
            assert_eq!(content(handles[kept].as_ref().expect("there")), filled(kept as u32), "handle {kept} after it");
        }
        drop((handles, large, seen, stream, writer, reader));
        plugin.finish(sim);
    });
}

#[test]
fn a_guard_is_what_cudarc_reads_from_on_its_own_stream_and_on_another() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let (first, second) = (plugin.stream(), plugin.stream());
        let mut handle = plugin.allocate(plugin.sourced(1));
        plugin.fill_later(&mut handle, &first, 3);
        for stream in [&first, &second] {
            let access = handle.access_on(&first).expect("content");
            let mut host = vec![0_u8; BYTES as usize];
            stream.memcpy_dtoh(&access, &mut host).expect("a copy");
            stream.synchronize().expect("a stream ends");
            assert_eq!(Content(host), filled(3));
        }
        let mut guard = handle.access_mut_on(&second).expect("content");
        second.memcpy_htod(&bytes(6), &mut guard).expect("a copy");
        drop(guard);
        assert_eq!(content(&handle), source(6));
        drop((handle, first, second));
        plugin.finish(sim);
    });
}

#[test]
fn more_streams_than_can_be_told_apart_are_refused_and_dropped_ones_make_room() {
    let sim = Sim::late(1);
    let plugin = Plugin::new(1);
    let handle = plugin.allocate(plugin.sourced(1));
    let streams: Vec<Arc<CudaStream>> = (0..80).map(|_| plugin.stream()).collect();
    let used = streams.iter().filter(|stream| handle.access_on(stream).is_ok()).count();
    assert_eq!(used, 61, "three of 64 are the device's own");
    drop(streams);
    for _ in 0..80 {
        drop(handle.access_on(&plugin.stream()).expect("dropped streams make room"));
    }
    drop(handle);
    plugin.finish(&sim);
}

#[test]
fn pinned_bytes_are_written_again_only_after_the_copies_from_them() {
    seeds(|sim| {
        let plugin = Plugin::new(1);
        let stream = plugin.stream();
        let mut source = Arc::new(PinnedBytes::copy_of(&bytes(1)).expect("memory"));
        plugin.device.register(&source).expect("the driver takes it");
        let handle = plugin.allocate(Allocation::new(Bytes(BYTES)).shared_source(source.clone()));
        let seen = plugin.read_later(&handle, &stream);
        drop(handle);
        let ours = Arc::get_mut(&mut source).expect("the handle is gone, and with it its source");
        ours.as_mut_slice().fill(0); // while the copy has not run
        assert_eq!(landed(&stream, &seen), self::source(1));
        drop((source, seen, stream));
        plugin.finish(sim);
    });
}
