//! Work on streams is ordered (F1 to F4): behind the bytes it needs, and before whoever gets the memory next, without the
//! host ever waiting for it. On the simulated driver work runs as late as the program allows, in the order of 20 seeds.
//!
//! Each test fails when its ordering is taken out: `scripts/unorder.py`. Not covered here: moves (`cuda_moves_are_ordered`) and
//! graphs (`cuda_captures_are_left_alone`).
#![allow(unsafe_code, reason = "raw driver calls")]

use freehold_cuda::cudarc::driver::{CudaStream, DevicePtr, PushKernelArg};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{Allocation, Bytes, HostBytes, PinnedBytes, VramManager};
use freehold_sim_control::{Live, Sim};
use freehold_tests::card::{BYTES, COUNT, Content, Plugin, bytes, content, filled, grid, landed, seeds, source};
use std::sync::Arc;

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
    let large = 48_u64 << 20; // twelve staging buffers, of which there are ten at most
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
