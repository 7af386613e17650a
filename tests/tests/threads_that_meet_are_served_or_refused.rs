//! Threads that meet at one handle, or at two in opposite orders, see the right bytes or are told why not; nobody waits for ever,
//! and the books are exact at the end. Behaviours G2 and G3, with yields by seed. A failure prints its seed.

use freehold_cuda::{Error, VramHandle};
use freehold_tests::crowd::{assert_stands, unless_full, yielding};
use freehold_tests::seeded::{perhaps_yield, seed_yields, under_seeds};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{on_both_devices, sourced, units};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// G2: pairs of pins in opposite orders on a card that has room for one: somebody is refused, nobody deadlocks.
#[test]
fn opposite_pin_orders_do_not_deadlock() {
    let _watchdog = watch("opposite pin orders");
    on_both_devices(|world| {
        under_seeds(10, |seed| {
            let manager = yielding(world, 5);
            let handles: Vec<VramHandle> = (0..2).map(|n| manager.register(sourced(n, units(3))).unwrap()).collect();
            let refused = AtomicU64::new(0);
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    let (handles, refused) = (&handles, &refused);
                    scope.spawn(move || {
                        seed_yields(seed, thread);
                        let (first, second) = if thread % 2 == 0 { (0, 1) } else { (1, 0) };
                        for _ in 0..50 {
                            let Some(outer) = unless_full(handles[first].access()) else { continue };
                            perhaps_yield();
                            assert!(unless_full(handles[second].access()).is_none(), "both cannot be resident");
                            refused.fetch_add(1, Relaxed);
                            assert_stands(&outer, first as u64);
                        }
                    });
                }
            });
            assert!(refused.load(Relaxed) > 0);
            manager.audit().unwrap();
        });
    });
}

/// G3: one handle is read, released and evicted at once: its content is right, or it is "released".
#[test]
fn release_races_access_races_eviction() {
    let _watchdog = watch("release against access against eviction");
    on_both_devices(|world| {
        under_seeds(150, |seed| {
            let manager = yielding(world, 4);
            let handle = manager.register(sourced(7, units(3))).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..2 {
                    let handle = &handle;
                    scope.spawn(move || {
                        seed_yields(seed, thread);
                        for _ in 0..6 {
                            match handle.access() {
                                Ok(access) => assert_stands(&access, 7),
                                Err(Error::Released { .. }) => return,
                                Err(other) => panic!("{other}"),
                            }
                        }
                    });
                }
                scope.spawn(|| {
                    seed_yields(seed, 2);
                    for _ in 0..6 {
                        let _ = unless_full(manager.evict_for_space(units(4)));
                        perhaps_yield();
                    }
                });
                scope.spawn(|| {
                    seed_yields(seed, 3);
                    (0..seed % 7).for_each(|_| perhaps_yield());
                    handle.release();
                });
            });
            assert!(matches!(handle.access(), Err(Error::Released { .. })));
            drop(handle);
            let books = manager.audit().unwrap();
            assert_eq!((books.handles, books.resident), (0, units(0)));
        });
    });
}
