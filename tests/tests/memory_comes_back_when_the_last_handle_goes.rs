//! Handles own their memory: it comes with them and goes with them, whatever way they go. Behaviours A1 to A5, C13.
//!
//! Not covered here: shared weights (`shared_weights_are_one_buffer`), close (`close_names_who_is_left`).

use freehold_cuda::{Allocation, Bytes, Error, HostBytes, VramHandle, VramManager};
use freehold_tests::sources::Probe;
use freehold_tests::world::{assert_holds, load, on_both_devices, sourced, units, written};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

fn assert_empty(manager: &VramManager) {
    let books = manager.audit().expect("the books agree");
    assert_eq!((books.handles, books.buffers, books.resident), (0, 0, Bytes(0)));
    drop(load(manager, 99, manager.budget().get() / units(1).get())); // all of it is usable, in one piece
}

/// A1: allocated with a source it is resident, has exactly its size, and holds the source's bytes.
#[test]
fn an_allocation_is_resident_whole_and_right() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handle = manager.allocate(sourced(1, Bytes(1234))).unwrap();
        assert!(handle.is_resident());
        assert_eq!((handle.bytes(), handle.access().unwrap().bytes()), (Bytes(1234), Bytes(1234)));
        assert_holds(&handle, 1);
    });
}

/// A2: the last handle's drop frees; nothing is left in any book.
#[test]
fn a_drop_frees() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        drop((load(&manager, 1, 3), load(&manager, 2, 5)));
        assert!(world.recorder.evicted().is_empty(), "there was room");
        assert_empty(&manager);
    });
}

/// A2: an early return by `?` drops what was allocated before it.
#[test]
fn an_early_return_frees() {
    fn half_way(manager: &VramManager) -> Result<(), Error> {
        let _first = manager.allocate(Allocation::new(units(4)).fixed())?;
        let _second = manager.allocate(Allocation::new(units(5)).fixed())?;
        unreachable!("nine do not fit into eight")
    }
    on_both_devices(|world| {
        let manager = world.manager(8);
        assert!(matches!(half_way(&manager), Err(Error::OutOfMemory { .. })));
        assert_empty(&manager);
    });
}

/// A2: a panic drops them on its way, also while their guards are out, and a second handle dropped by a drop of the first
/// panic's unwinding does no harm.
#[test]
fn a_panic_frees() {
    struct DropsMoreWhileUnwinding<'a>(&'a VramManager);
    impl Drop for DropsMoreWhileUnwinding<'_> {
        fn drop(&mut self) {
            let handle = load(self.0, 3, 1);
            let inner = catch_unwind(AssertUnwindSafe(|| {
                let _guard = handle.access();
                std::panic::resume_unwind(Box::new("a panic inside the unwinding"));
            }));
            assert!(inner.is_err());
        }
    }
    on_both_devices(|world| {
        let manager = world.manager(8);
        let fell = catch_unwind(AssertUnwindSafe(|| {
            let handle = load(&manager, 1, 4);
            let _more = DropsMoreWhileUnwinding(&manager);
            let _guard = handle.access().unwrap();
            std::panic::resume_unwind(Box::new("on purpose"));
        }));
        assert!(fell.is_err());
        assert_empty(&manager);
    });
}

/// A3: release and drop count once; afterwards every use is a typed error.
#[test]
fn a_released_handle_is_refused_and_counts_once() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let mut handle = load(&manager, 1, 4);
        let other = load(&manager, 2, 4);
        handle.release();
        handle.release();
        assert_eq!(manager.audit().unwrap().resident, units(4));
        assert!(matches!(handle.access(), Err(Error::Released { key }) if key == handle.key()));
        assert!(matches!(handle.access_mut(), Err(Error::Released { .. })));
        let third = load(&manager, 3, 4); // in the released one's place
        handle.touch();
        drop(handle);
        assert_holds(&other, 2);
        assert_holds(&third, 3);
        assert_eq!(manager.audit().unwrap().resident, units(8));
    });
}

/// A3: released under a guard, the address stays good until the guard goes; then the memory is free.
#[test]
fn a_release_under_a_guard_waits_for_the_guard() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handle = load(&manager, 1, 8);
        let guard = handle.access().unwrap();
        handle.release();
        let refused = manager.allocate(sourced(2, units(1)));
        assert!(matches!(refused, Err(Error::OutOfMemory { pinned, .. }) if pinned == units(8)));
        let mut seen = vec![0; 8 * 512];
        guard.read(0, &mut seen).unwrap();
        assert_eq!(seen, freehold_tests::world::content(1, units(8)));
        drop(guard);
        drop(handle);
        assert_empty(&manager);
    });
}

/// A4: handles are `Send + Sync`; dropped on another thread they free here.
#[test]
fn a_handle_may_be_dropped_on_another_thread() {
    fn threads_may_share<T: Send + Sync>() {}
    threads_may_share::<VramHandle>();
    threads_may_share::<VramManager>();
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = (0..8).map(|seed| load(&manager, seed, 1)).collect();
        std::thread::scope(|scope| {
            for (handle, seed) in handles.into_iter().zip(0..) {
                scope.spawn(move || assert_holds(&handle, seed));
            }
        });
        assert_empty(&manager);
    });
}

/// A5: a forgotten handle is named with its size and label at close, and its memory goes back to the device.
#[test]
fn a_forgotten_handle_is_named_and_reclaimed() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        std::mem::forget(manager.allocate(sourced(7, Bytes(700))).unwrap());
        let report = manager.close();
        let named: Vec<_> = report.live.iter().map(|leak| (&*leak.label, leak.bytes, leak.resident)).collect();
        assert_eq!(named, [("number 7", Bytes(700), true)]);
        assert!(report.to_string().contains("\"number 7\" of \"\": 700 bytes, resident"), "{report}");
        assert_eq!(report.regions_kept, 0);
        if let Some(far) = &world.far {
            assert_eq!(far.regions(), 0, "the memory is back with the device");
        }
    });
}

/// C13: a source lives as long as a handle needs it, and no longer; it is not asked after that.
#[test]
fn a_source_goes_with_the_last_handle() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let bytes: Arc<[u8]> = vec![1; 512].into();
        let probe = Probe::new(1, units(1));
        let first = manager.allocate(Allocation::new(units(1)).source(HostBytes(bytes.clone()))).unwrap();
        let second = manager.allocate(Allocation::new(units(1)).shared_source(probe.clone())).unwrap();
        manager.evict_for_space(units(8)).unwrap();
        assert_eq!((Arc::strong_count(&bytes), Arc::strong_count(&probe)), (2, 2), "evicted, they are still needed");
        drop((first, second));
        assert_eq!((Arc::strong_count(&bytes), Arc::strong_count(&probe)), (1, 1));
        drop(written(&manager, 5, Allocation::new(units(8))));
        assert_eq!(probe.calls(), 1);
    });
}
