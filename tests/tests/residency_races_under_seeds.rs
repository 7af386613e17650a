//! What happens at once to one entry, or to a few, on a card too small for them: the races of Behaviours A2, A4, B7, C4, C5,
//! C6, C10, C11 and C14, each with few threads and many seeds. One thread runs at a time, and the seed says who goes on in
//! the middle of the device's copies, the sources and the clock. A failure prints its seed.
//! Not covered: two instructions at once on two cores, which is what the models in `loom_tests` are for.

use freehold_cuda::{Allocation, Error, Policy, VramHandle, VramManager};
use freehold_tests::crowd::{Slow, assert_all_is_back, unless_full, yielding_in_copies};
use freehold_tests::seeded::{perhaps_yield, race, run, under_seeds};
use freehold_tests::sources::{Manner, Probe, silence_panics_of_sources};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{assert_holds, content, sourced, units, written};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

const SEEDS: u64 = 300;

fn manager(capacity: u64) -> VramManager {
    yielding_in_copies(capacity).build().unwrap()
}

fn slow(seed: u64, size: u64) -> (Allocation, Arc<Probe>) {
    let probe = Probe::new(seed, units(size));
    (Allocation::new(units(size)).source(Slow(Arc::clone(&probe))), probe)
}

/// Evicts whatever may leave, a few times.
fn evict(manager: &VramManager) {
    for _ in 0..3 {
        unless_full(manager.evict_for_space(manager.budget()));
        perhaps_yield();
    }
}

/// Reads it twice, where there is room, and sees that it stands still in between (B7).
fn assert_stands(handle: &VramHandle, seed: u64) {
    let Some(access) = unless_full(handle.access()) else { return };
    let (address, right) = (access.address(), content(seed, access.bytes()));
    for _ in 0..2 {
        assert!(access.as_host_slice().unwrap() == right, "content {seed} at {address:?}");
        perhaps_yield();
    }
    assert_eq!(access.address(), address, "moved while pinned");
}

fn assert_all_is_free(manager: &VramManager, seed: u64) {
    let books = assert_all_is_back(manager, seed);
    assert_eq!(books.free, manager.budget(), "seed {seed}");
}

/// C4: three come for an absent entry, and somebody evicts it: as many calls as loads, and everybody sees the bytes.
#[test]
fn who_comes_at_once_shares_the_load_while_another_evicts() {
    let _watchdog = watch("a stampede");
    under_seeds(SEEDS, |seed| {
        let manager = manager(3);
        let (asked, probe) = slow(7, 3);
        let handle = manager.register(asked).unwrap();
        let read = || run(|| assert_stands(&handle, 7));
        race(seed, vec![read(), read(), read(), run(|| evict(&manager))]);
        assert_eq!(probe.calls(), manager.stats().loads);
        drop(handle);
        assert_all_is_free(&manager, seed);
    });
}

/// B7: what is pinned by two is passed over until both have let go, whoever else needs the room.
#[test]
fn the_pinned_are_passed_over_until_the_last_pin_is_gone() {
    let _watchdog = watch("pins against evictions");
    under_seeds(SEEDS, |seed| {
        let manager = manager(4);
        let (pinned, _) = slow(1, 3);
        let pinned = manager.register(pinned).unwrap();
        let need = |number: u64| {
            let manager = &manager;
            run(move || {
                let handle = unless_full(manager.allocate(sourced(number, units(2))));
                handle.iter().for_each(|handle| assert_stands(handle, number));
            })
        };
        let pin = || run(|| assert_stands(&pinned, 1));
        race(seed, vec![pin(), pin(), need(2), need(3)]);
        drop(pinned);
        assert_all_is_free(&manager, seed);
    });
}

/// A2, A4: handles go on other threads while their memory is being evicted, moved or brought.
#[test]
fn handles_may_go_in_the_middle_of_anything() {
    let _watchdog = watch("drops against evictions");
    under_seeds(SEEDS, |seed| {
        let manager = manager(6);
        let only = written(&manager, 1, Allocation::new(units(2)));
        let moved = written(&manager, 2, Allocation::new(units(2)).fixed());
        let (brought, _) = slow(3, 2);
        let brought = manager.register(brought).unwrap();
        race(
            seed,
            vec![
                run(|| drop(only)),
                run(|| drop(moved)),
                run(|| {
                    let _ = brought.access().map(drop);
                    drop(brought);
                }),
                run(|| evict(&manager)),
                run(|| {
                    let wide = unless_full(manager.allocate(sourced(4, units(5))));
                    wide.iter().for_each(|wide| assert_stands(wide, 4));
                }),
            ],
        );
        assert_all_is_free(&manager, seed);
    });
}

/// C5, C6: of those who come at once somebody meets the failure, the others a failure or the bytes; after repair all is well.
#[test]
fn a_failure_is_met_by_those_who_came_and_by_nobody_later() {
    silence_panics_of_sources();
    let _watchdog = watch("failing sources");
    under_seeds(SEEDS, |seed| {
        let manager = manager(4);
        let (asked, probe) = slow(5, 3);
        let handle = manager.register(asked).unwrap();
        probe.behave([Manner::Fails, Manner::Panics, Manner::Short, Manner::Long][seed as usize % 4]);
        let failures = AtomicU64::new(0);
        let read = || {
            run(|| match handle.access() {
                Ok(access) => assert!(access.as_host_slice().unwrap() == content(5, access.bytes())),
                Err(Error::SourceFailed { .. } | Error::SourcePanicked { .. } | Error::SourceLength { .. }) => {
                    failures.fetch_add(1, Relaxed);
                }
                Err(other) => panic!("{other}"),
            })
        };
        let repair = run(|| {
            perhaps_yield();
            probe.behave(Manner::Good);
        });
        race(seed, vec![read(), read(), repair, run(|| evict(&manager))]);
        assert!(failures.into_inner() <= 2);
        assert_holds(&handle, 5);
        drop(handle);
        assert_all_is_free(&manager, seed);
    });
}

/// C10, C11: what is written survives evictions that come in the middle, whether a source has other bytes or none has any.
#[test]
fn what_is_written_survives_evictions_in_the_middle() {
    let _watchdog = watch("writes against evictions");
    under_seeds(SEEDS, |seed| {
        let manager = manager(5);
        let (asked, _) = slow(1, 3);
        let mut both = [manager.register(asked).unwrap(), written(&manager, 2, Allocation::new(units(2)))];
        let mut hold = [1, 2];
        let mut runs = vec![run(|| evict(&manager)), run(|| evict(&manager))];
        for (handle, holds) in both.iter_mut().zip(&mut hold) {
            runs.push(run(|| (0..3).for_each(|_| rewrite(handle, holds))));
        }
        race(seed, runs);
        both.iter().zip(hold).for_each(|(handle, holds)| assert_holds(handle, holds));
        drop(both);
        assert_all_is_free(&manager, seed);
    });
}

/// Writes the next content, where the other's pin leaves room.
fn rewrite(handle: &mut VramHandle, holds: &mut u64) {
    let right = content(*holds + 10, handle.bytes());
    if let Some(mut access) = unless_full(handle.access_mut()) {
        assert!(access.as_host_slice().unwrap() == content(*holds, access.bytes()), "what was written last");
        access.write(0, &right).unwrap();
        *holds += 10;
        perhaps_yield();
        assert!(access.as_host_slice().unwrap() == right);
    }
}

/// C14: a prefetch beside accesses, evictions and a release, under both policies.
#[test]
fn a_prefetch_beside_everything_else() {
    let _watchdog = watch("prefetches");
    under_seeds(SEEDS, |seed| {
        let policy = if seed % 2 == 0 { Policy::PriorityNextUse } else { Policy::PriorityLru };
        let manager = VramManager::builder().budget(units(5)).policy(policy).build().unwrap();
        let handles: Vec<VramHandle> = (0..3).map(|number| manager.register(slow(number, 2).0).unwrap()).collect();
        let early = run(|| {
            for handle in handles.iter().rev() {
                match handle.prefetch() {
                    Ok(_) | Err(Error::Released { .. }) => perhaps_yield(),
                    Err(other) => panic!("{other}"),
                }
            }
        });
        let use_both = run(|| {
            for (number, handle) in (0..).zip(&handles[..2]) {
                assert_stands(handle, number);
            }
        });
        let release = run(|| {
            perhaps_yield();
            handles[2].release();
        });
        race(seed, vec![early, use_both, release, run(|| evict(&manager))]);
        drop(handles);
        while manager.audit().is_err() || manager.audit().unwrap().handles > 0 {
            std::thread::yield_now(); // the worker holds the last one for a moment
        }
        assert_all_is_free(&manager, seed);
    });
}
