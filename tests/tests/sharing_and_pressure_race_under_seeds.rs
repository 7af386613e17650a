//! Consumers that join and leave, budgets that change, waits, trims and closes, each beside evictions and accesses: the races of
//! Behaviours D1, D4, D7, D8, E3 to E6 and H1, as in `residency_races_under_seeds`, whose words hold here too.

use freehold_cuda::{Allocation, Error, VramHandle, VramManager};
use freehold_tests::crowd::{Slow, assert_all_is_back, yielding_in_copies};
use freehold_tests::seeded::{perhaps_yield, race, run, under_seeds};
use freehold_tests::sources::Probe;
use freehold_tests::watchdog::watch;
use freehold_tests::world::{U, assert_holds, content, load, sourced, units};
use std::sync::Arc;
use std::time::Duration;

const SEEDS: u64 = 300;

fn manager(capacity: u64) -> VramManager {
    yielding_in_copies(capacity).arena_bytes(units(4)).build().unwrap()
}

/// Ok, or what may come of a full card or a closed manager: all else is a defect.
fn unless_refused<T>(tried: Result<T, Error>) -> Option<T> {
    match tried {
        Ok(made) => Some(made),
        Err(Error::OutOfMemory { .. } | Error::TooLarge { .. } | Error::Closed | Error::Released { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

fn assert_right(handle: &VramHandle, seed: u64) {
    let Some(access) = unless_refused(handle.access()) else { return };
    let (address, right) = (access.address(), content(seed, access.bytes()));
    for _ in 0..2 {
        assert!(access.as_host_slice().unwrap() == right, "content {seed}");
        perhaps_yield();
    }
    assert_eq!(access.address(), address);
}

fn evict(manager: &VramManager) {
    for _ in 0..3 {
        unless_refused(manager.evict_for_space(manager.budget()));
        perhaps_yield();
    }
}

/// D1, D4, D7, D8: three consumers come and go with priorities of their own while somebody evicts: never two buffers at
/// once, and a load for each materialisation, whoever's source is asked.
#[test]
fn consumers_join_and_leave_beside_evictions() {
    let _watchdog = watch("consumers");
    under_seeds(SEEDS, |seed| {
        let manager = manager(4);
        let probe = Probe::new(9, units(3));
        let join = |priority: i32| {
            let (manager, probe) = (&manager, &probe);
            run(move || {
                for _ in 0..2 {
                    let asked = Allocation::new(units(3)).source(Slow(Arc::clone(probe))).priority(priority);
                    let Some(shared) = unless_refused(manager.acquire_shared_weights("w", asked)) else { continue };
                    assert!(shared.priority() >= priority, "the highest of the living");
                    assert_right(&shared, 9);
                    assert!(manager.stats().resident_bytes <= 3 * U, "one buffer, however many consumers");
                    match priority {
                        1 => shared.release(),
                        2 => manager.release_shared_weights(shared),
                        _ => drop(shared),
                    }
                    perhaps_yield();
                }
            })
        };
        race(seed, vec![join(1), join(2), join(3), run(|| evict(&manager))]);
        assert_eq!(probe.calls(), manager.stats().loads);
        assert_all_is_back(&manager, seed);
    });
}

/// E3, E4, E6: the budget is lowered and raised, lent and given back, and regions are trimmed, while others allocate: at no
/// sample is more resident than there ever was, and all is as before at the end.
#[test]
fn the_budget_changes_beside_allocations() {
    let _watchdog = watch("budgets");
    under_seeds(SEEDS, |seed| {
        let manager = manager(12);
        let kept = load(&manager, 1, 4);
        let allocate = |number: u64| {
            let manager = &manager;
            run(move || {
                for round in 0..3 {
                    let asked = sourced(number + round, units(2 + round));
                    let made = unless_refused(manager.allocate(asked));
                    made.iter().for_each(|handle| assert_right(handle, number + round));
                    assert!(manager.stats().peak_resident_bytes <= 12 * U);
                }
            })
        };
        let change = run(|| {
            for budget in [6, 3, 12] {
                manager.set_budget(units(budget)).unwrap();
                perhaps_yield();
            }
        });
        let lend = run(|| {
            for lent in [12, 5] {
                let guard = manager.handover(units(lent), i32::MAX).unwrap();
                perhaps_yield();
                drop(guard);
            }
        });
        let trim = run(|| {
            for _ in 0..3 {
                manager.trim().unwrap();
                perhaps_yield();
            }
        });
        race(seed, vec![allocate(10), allocate(20), change, lend, trim]);
        assert_eq!(manager.budget(), units(12));
        assert_holds(&kept, 1);
        assert_holds(&load(&manager, 2, 8), 2);
        drop(kept);
        assert_all_is_back(&manager, seed);
    });
}

/// E5: whoever waits is served once what is in the way has gone, whatever else goes on, and by whichever of three ways.
#[test]
fn who_waits_is_served_when_the_way_is_free() {
    let _watchdog = watch("waiting");
    under_seeds(SEEDS, |seed| {
        let manager = manager(8);
        let pinned = load(&manager, 1, 3);
        let fixed = manager.allocate(Allocation::new(units(3)).fixed()).unwrap();
        let guard = pinned.access().unwrap();
        let long = Duration::from_secs(60);
        let wait = |number: u64| {
            let manager = &manager;
            run(move || {
                let handle = manager.allocate_timeout(sourced(number, units(4)), long).unwrap();
                assert_right(&handle, number);
            })
        };
        let unpin = run(move || {
            perhaps_yield();
            drop(guard);
        });
        let release = run(move || {
            perhaps_yield();
            drop(fixed);
        });
        race(seed, vec![wait(2), wait(3), unpin, release]);
        drop(pinned);
        assert_all_is_back(&manager, seed);
    });
}

/// H1: a close in the middle: who was before it has the right bytes, who comes later is told so, and nothing stays behind.
#[test]
fn a_close_in_the_middle_of_everything() {
    let _watchdog = watch("a close");
    under_seeds(SEEDS, |seed| {
        let manager = manager(6);
        let (absent, present) = (manager.register(sourced(1, units(3))).unwrap(), load(&manager, 2, 3));
        let close = run(|| {
            perhaps_yield();
            assert!(manager.close().live.len() <= 4);
        });
        let allocate = run(|| {
            for number in 3..5 {
                let made = unless_refused(manager.allocate(sourced(number, units(4))));
                made.iter().for_each(|handle| assert_right(handle, number));
            }
        });
        let share = run(|| {
            let shared = unless_refused(manager.acquire_shared_weights("w", sourced(5, units(2))));
            shared.iter().for_each(|handle| assert_right(handle, 5));
        });
        let read = run(|| {
            assert_right(&absent, 1);
            assert_right(&present, 2);
        });
        race(seed, vec![close, allocate, share, read, run(|| evict(&manager))]);
        assert!(matches!(absent.access(), Err(Error::Released { .. } | Error::Closed)));
        drop((absent, present));
        let books = manager.audit().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        assert_eq!((books.handles, books.resident), (0, units(0)), "seed {seed}");
    });
}
