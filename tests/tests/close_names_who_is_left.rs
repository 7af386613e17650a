//! The end of a manager: who is left is named, what is left is freed, and what comes later is refused. Behaviours H1, A5.

use freehold_cuda::{Allocation, Bytes, Error, VramHandle};
use freehold_tests::sources::Probe;
use freehold_tests::world::{assert_holds, load, on_both_devices, sourced, units, written};

/// H1: close lists the live handles with size, label, plugin and pins, oldest first; the second close lists nothing.
#[test]
fn the_living_are_listed_once() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let plugin = manager.plugin("speech");
        let first = manager.allocate(sourced(1, Bytes(700)).plugin(&plugin)).unwrap();
        let gone = load(&manager, 2, 1);
        let absent = manager.register(sourced(3, units(2))).unwrap();
        drop(gone);
        let guard = first.access().unwrap();
        let report = manager.close();
        let told: Vec<_> = (report.live.iter())
            .map(|leak| (leak.id, &*leak.label, &*leak.plugin, leak.bytes.get(), leak.resident, leak.pins))
            .collect();
        assert_eq!(
            told,
            [(first.id(), "number 1", "speech", 700, true, 1), (absent.id(), "number 3", "", 1024, false, 0)]
        );
        assert_eq!(report.regions_kept, 1, "it is pinned");
        let text = report.to_string();
        assert!(text.starts_with("2 handles of 1724 bytes alive at close\n"), "{text}");
        assert!(text.contains("\"number 1\" of \"speech\": 700 bytes, resident, 1 pins"), "{text}");
        assert!(text.contains("\"number 3\" of \"\": 1024 bytes, without memory, 0 pins"), "{text}");
        assert!(manager.close().live.is_empty());
        drop(guard);
    });
}

/// H1: released handles are not living.
#[test]
fn the_released_are_not_listed() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let (kept, released) = (load(&manager, 1, 1), load(&manager, 2, 1));
        released.release();
        let report = manager.close();
        assert_eq!(report.live.iter().map(|leak| leak.id).collect::<Vec<_>>(), [kept.id()]);
        assert_eq!((report.regions_kept, report.device_errors.len()), (0, 0));
    });
}

/// H1: after close every use is an error that says so, every drop is safe, in any order with the manager's own.
#[test]
fn later_use_is_refused_and_later_drop_is_safe() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let mut handle = load(&manager, 1, 2);
        let shared = manager.acquire_shared_weights("k", sourced(2, units(1))).unwrap();
        let reservation = manager.reserve(units(1)).unwrap();
        manager.close();
        assert!(matches!(handle.access(), Err(Error::Released { .. })));
        assert!(matches!(handle.access_mut(), Err(Error::Released { .. })));
        assert!(matches!(shared.access(), Err(Error::Released { .. })));
        assert!(!handle.is_resident());
        assert!(matches!(manager.allocate(sourced(3, units(1))), Err(Error::Closed)));
        assert!(matches!(manager.register(sourced(3, units(1))), Err(Error::Closed)));
        assert!(matches!(
            manager.acquire_shared_weights("k", sourced(2, units(1))),
            Err(Error::Closed | Error::Released { .. })
        ));
        assert!(matches!(manager.evict_for_space(units(1)), Err(Error::Closed)));
        assert!(matches!(manager.reserve(units(1)), Err(Error::Closed)));
        assert_eq!(manager.lru_order(), []);
        handle.touch();
        shared.set_priority(3);
        manager.audit().expect("the books of a closed manager agree too");
        drop(manager);
        assert_eq!((handle.bytes(), handle.label()), (units(2), "number 1"), "its name outlives the manager");
        assert!(matches!(handle.access(), Err(Error::Released { .. })));
        drop((handle, shared, reservation));
        if let Some(far) = &world.far {
            assert_eq!(far.regions(), 0);
        }
    });
}

/// H1: a guard outlives the close: its bytes stay until it goes, and the region goes back with the last handle.
#[test]
fn a_guard_outlives_the_close() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handle = load(&manager, 1, 8);
        let guard = handle.access().unwrap();
        drop(manager);
        let mut seen = vec![0; 8 * 512];
        guard.read(0, &mut seen).unwrap();
        assert_eq!(seen, freehold_tests::world::content(1, units(8)));
        drop(guard);
        drop(handle);
        if let Some(far) = &world.far {
            assert_eq!(far.regions(), 0);
        }
    });
}

/// H1: a close in the middle of a load: the reader gets the right content or a refusal, and the memory goes back.
#[test]
fn a_close_in_the_middle_of_a_load() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let probe = Probe::new(1, units(8));
        let handle = manager.register(Allocation::new(units(8)).shared_source(probe.clone())).unwrap();
        std::thread::scope(|scope| {
            let holding = probe.hold();
            let reader = scope.spawn(|| handle.access().map(drop));
            probe.await_calls(1);
            let report = manager.close();
            assert_eq!((report.live.len(), report.regions_kept), (1, 1), "the load is under way in it");
            drop(holding);
            let read = reader.join().unwrap();
            assert!(matches!(read, Ok(()) | Err(Error::Released { .. })), "{read:?}");
        });
        assert!(matches!(handle.access(), Err(Error::Released { .. })));
        drop((handle, manager));
        if let Some(far) = &world.far {
            assert_eq!(far.regions(), 0);
        }
    });
}

/// H1: dropping the manager is closing it; dropping handles first leaves nothing to list.
#[test]
fn an_orderly_end_lists_nobody() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        let spilled = written(&manager, 9, Allocation::new(units(2)));
        assert_holds(&spilled, 9);
        drop((handles, spilled));
        let report = manager.close();
        assert_eq!((report.live.len(), report.regions_kept, report.device_errors.len()), (0, 0, 0));
        assert_eq!(report.to_string(), "0 handles of 0 bytes alive at close");
    });
}
