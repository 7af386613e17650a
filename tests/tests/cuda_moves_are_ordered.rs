//! Bytes come in, are moved and go out on streams of the device's own: what one of them, or a kernel, does to a block, the next
//! is behind. On the simulated driver, in the order of 20 seeds.
//!
//! Each test fails when its ordering is taken out: `scripts/unorder.py`.

use freehold_cuda::cudarc::driver::CudaSlice;
use freehold_cuda::{Allocation, Bytes, PinnedBytes, VramHandle};
use freehold_tests::card::{BYTES, Content, Plugin, bytes, content, filled, landed, seeds, source};

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
