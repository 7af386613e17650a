//! Several entries in one call are pinned all or none, those on the card first; and two who want the same ones in opposite orders
//! meet a refusal, not each other (G2).

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use freehold_cuda::{Error, VramHandle};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{assert_holds, content, load, on_both_devices, units};

/// Nobody is pinned: all of the card can be emptied.
#[test]
fn a_refusal_pins_nobody() {
    on_both_devices(|world| {
        let manager = world.manager(3);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        let all: Vec<&VramHandle> = handles.iter().collect();
        assert!(matches!(manager.access_all(&all), Err(Error::OutOfMemory { .. })));
        assert_eq!(manager.evict_for_space(manager.budget()).unwrap().len(), 3);
        let guards = manager.access_all(&all[1..]).unwrap();
        assert!(manager.evict_for_space(units(1)).is_err(), "three guards hold the whole card");
        drop(guards);
        for (seed, handle) in (0..).zip(&handles) {
            assert_holds(handle, seed);
        }
    });
}

/// The guards come in the order asked for, whoever had to be brought; and no one of the call leaves for another of it.
#[test]
fn who_is_there_stays() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..5).map(|seed| load(&manager, seed, 1)).collect();
        assert!(!handles[0].is_resident(), "it left for the fifth");
        world.recorder.take();
        // 1 and 2 are the coldest on the card: without the call they would be the next to leave.
        let asked = [0, 1, 2, 0].map(|index: usize| &handles[index]);
        let guards = manager.access_all(&asked).unwrap();
        assert_eq!(world.recorder.evicted(), [handles[3].id()]);
        for (guard, seed) in guards.iter().zip([0, 1, 2, 0]) {
            let mut bytes = vec![0; units(1).get() as usize];
            guard.read(0, &mut bytes).unwrap();
            assert_eq!(bytes, content(seed, units(1)));
        }
    });
}

#[test]
fn opposite_orders_do_not_deadlock() {
    on_both_devices(|world| {
        let _ends = watch("access_all in opposite orders");
        let manager = world.manager(3);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        let served = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for order in [[0, 1, 2], [3, 2, 1]] {
                let (manager, handles, served) = (&manager, &handles, &served);
                scope.spawn(move || {
                    for _ in 0..200 {
                        match manager.access_all(&order.map(|index: usize| &handles[index])) {
                            Ok(guards) => served.fetch_add(guards.len() / 3, Relaxed),
                            Err(Error::OutOfMemory { .. }) => continue,
                            Err(error) => panic!("{error}"),
                        };
                    }
                });
            }
        });
        assert!(served.into_inner() > 0);
        assert_eq!(manager.evict_for_space(manager.budget()).unwrap().len(), 3, "no pin is left");
    });
}
