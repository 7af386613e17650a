//! Under `Floor::Requester` no request evicts who ranks higher than it does: it is refused with what is evictable for it and the
//! priority that would be enough, or waits until the floor allows it. Behaviour B9.
//!
//! Not covered: bytes and places under random operations (`manager_agrees_with_its_naive_twin`, `a_refusal_explains_itself`).

use freehold_cuda::observe::{Because, Why};
use freehold_cuda::{
    Advice, Allocation, EntryFacts, Error, Event, EvictionOrder, Floor, Policy, Prefetch, Refusal, VramHandle,
    VramManager,
};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{World, assert_holds, on_both_devices, sourced, units};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

fn floored(world: &World, capacity: u64) -> VramManager {
    world.builder(capacity).floor(Floor::Requester).build().unwrap()
}

fn ranked(manager: &VramManager, seed: u64, size: u64, priority: i32) -> VramHandle {
    manager.allocate(sourced(seed, units(size)).priority(priority)).expect("it fits once others have left")
}

/// The granules of a refusal, evictable and staying, and its explanation.
fn refused<T>(result: Result<T, Error>) -> (u64, u64, Refusal) {
    match result.err().expect("the floor is in its way") {
        Error::OutOfMemory { evictable, pinned, refusal, .. } => {
            (evictable.get() / units(1).get(), pinned.get() / units(1).get(), *refusal)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn the_low_is_refused_and_nobody_has_left() {
    on_both_devices(|world| {
        let manager = floored(world, 6);
        let handles = [(1, 3, 9), (2, 2, 5), (3, 1, -9)].map(|(seed, size, rank)| ranked(&manager, seed, size, rank));
        let (evictable, staying, refusal) = refused(manager.allocate(sourced(4, units(2))));
        assert_eq!((evictable, staying), (1, 5), "what is evictable is so for this request");
        assert_eq!((refusal.priority, refusal.because), (Some(0), Because::TooFew { at_most: units(1) }));
        assert_eq!(refusal.holders.iter().map(|holder| holder.why).collect::<Vec<_>>(), [Why::RanksHigher]);
        assert_eq!(refusal.advice[0], Advice::AskWithPriority { priority: 5 }, "the lowest that is enough");
        let text = refusal.to_string();
        for said in [
            "with priority 0, for which nothing higher leaves",
            "2560 bytes of higher priority",
            "ask with priority 5 or more",
        ] {
            assert!(text.contains(said), "{said:?} is not in {text:?}");
        }
        assert_eq!(world.recorder.evicted(), [0; 0]);
        // One less is not enough; equals may, and then as many leave as are needed, in order.
        assert!(manager.allocate(sourced(4, units(2)).priority(4)).is_err());
        let equal = ranked(&manager, 4, 2, 5);
        assert_eq!(world.recorder.evicted(), [handles[2].id(), handles[1].id()]);
        assert_holds(&equal, 4);
        assert_holds(&handles[0], 1);
    });
}

#[test]
fn without_it_priority_says_nothing_about_who_asks() {
    on_both_devices(|world| {
        for manager in [world.manager(2), world.builder(2).floor(Floor::None).build().unwrap()] {
            let high = ranked(&manager, 1, 2, i32::MAX);
            assert_holds(&ranked(&manager, 2, 1, i32::MIN), 2);
            assert!(!high.is_resident());
            let _pin = high.access().unwrap();
            let (_, _, refusal) = refused(manager.allocate(sourced(3, units(1))));
            assert_eq!(refusal.priority, None);
        }
    });
}

/// What came once comes back with the priority that it has then.
#[test]
fn every_way_of_asking_asks_with_the_entrys_own_priority() {
    let _watchdog = watch("a refused prefetch");
    on_both_devices(|world| {
        let manager = floored(world, 4);
        let low = manager.register(sourced(1, units(2))).unwrap();
        let high = ranked(&manager, 2, 4, 3);
        assert_eq!(refused(low.access()).2.advice[0], Advice::AskWithPriority { priority: 3 });
        refused(manager.access_all(&[&high, &low]));
        refused(low.access_timeout(SHORT));
        refused(manager.acquire_shared_weights("w", sourced(3, units(1)).priority(2)));
        // A prefetch says nothing of what comes of it: the refusal is counted, and that is all.
        let before = manager.stats().refusals;
        assert_eq!(manager.prefetch(&low).unwrap(), Prefetch::Queued);
        while manager.stats().refusals == before {
            thread::yield_now();
        }
        assert_eq!(world.recorder.evicted(), [0; 0]);
        low.set_priority(3);
        assert_holds(&low, 1);
        assert_eq!(world.recorder.evicted(), [high.id()]);
        assert_holds(&high, 2);
    });
}

/// Of shared weights the highest live consumer counts, for the asking as for the leaving.
#[test]
fn shared_weights_ask_with_their_highest_consumer() {
    on_both_devices(|world| {
        let manager = floored(world, 4);
        let weights = |priority| sourced(1, units(2)).priority(priority);
        let low = manager.register_shared_weights("w", weights(0)).unwrap();
        let other = ranked(&manager, 2, 4, 5);
        refused(low.access());
        let high = manager.acquire_shared_weights("w", weights(5)).expect("it ranks with the other");
        assert!(!other.is_resident());
        assert_holds(&low, 1);
        refused(manager.allocate(sourced(3, units(4)).priority(4)));
        drop(high);
        assert_holds(&ranked(&manager, 3, 4, 4), 3);
    });
}

/// A reservation asks with priority 0 or what it is told; whoever owns the card is held up by nothing.
#[test]
fn reservations_ask_and_the_owner_of_the_card_does_not() {
    on_both_devices(|world| {
        let manager = floored(world, 4);
        let high = ranked(&manager, 1, 4, 2);
        assert_eq!(refused(manager.reserve(units(1))).2.priority, Some(0));
        refused(manager.reserve_with_priority(units(1), 1));
        let set_aside = manager.reserve_with_priority(units(1), 2).unwrap();
        assert!(!high.is_resident());
        drop(set_aside);
        for way in [
            |manager: &VramManager| drop(manager.evict_for_space(units(4)).unwrap()),
            |manager: &VramManager| drop(manager.set_budget(units(1)).unwrap()),
            |manager: &VramManager| drop(manager.handover(units(4), 2).unwrap()),
        ] {
            manager.set_budget(units(4)).unwrap();
            assert_holds(&high, 1);
            way(&manager);
            assert!(!high.is_resident());
        }
    });
}

/// A move takes nothing from anybody: who ranks higher makes way inside the card.
#[test]
fn who_ranks_higher_may_be_moved() {
    on_both_devices(|world| {
        for moves in [true, false] {
            let manager = world.builder(8).floor(Floor::Requester).moves(moves).build().unwrap();
            let [front, high] = [ranked(&manager, 1, 2, 0), ranked(&manager, 2, 2, 9)];
            drop(front); // 2 free, 2 of high priority, 4 free
            let asked = manager.allocate(sourced(3, units(6)));
            if moves {
                assert_holds(&asked.unwrap(), 3);
            } else {
                let (_, _, refusal) = refused(asked);
                assert_eq!(refusal.because, Because::InPieces { longest: units(4) });
                let tried = [Advice::AllowMoves, Advice::AskWithPriority { priority: 9 }];
                assert!(tried.iter().all(|advice| refusal.advice.contains(advice)), "{refusal}");
            }
            assert!(high.is_resident());
            assert_holds(&high, 2);
            assert_eq!(world.recorder.evicted(), [0; 0]);
        }
    });
}

/// Where both its priority and the spill budget keep an entry, neither alone is advised.
#[test]
fn what_is_kept_twice_is_not_advised_once() {
    let manager = World::host().builder(4).floor(Floor::Requester).spill_budget(units(0)).build().unwrap();
    let _written = manager.allocate(Allocation::new(units(4)).priority(7)).unwrap();
    let (_, _, refusal) = refused(manager.allocate(sourced(1, units(1))));
    assert_eq!(refusal.holders[0].why, Why::RanksHigher);
    assert_eq!(refusal.advice, [Advice::RaiseBudget { by: units(1) }], "{refusal}");
}

/// What is pinned and ranks higher does not leave when it is unpinned.
#[test]
fn an_unpin_that_would_not_help_is_not_advised() {
    let manager = floored(&World::host(), 4);
    let high = ranked(&manager, 1, 4, 7);
    let _pin = high.access().unwrap();
    let (_, _, refusal) = refused(manager.allocate(sourced(2, units(1))));
    assert_eq!(refusal.advice, [Advice::RaiseBudget { by: units(1) }], "{refusal}");
    let (_, _, refusal) = refused(manager.allocate(sourced(2, units(1)).priority(7)));
    assert!(matches!(refusal.advice[0], Advice::Unpin { .. }), "{refusal}");
}

/// How the floor comes to allow what somebody waits for.
#[derive(Clone, Copy, Debug)]
enum Way {
    Lowered,
    Released,
    Raised,
    ConsumerLeft,
}

/// E5: who waits is not let in by an eviction that the floor forbids, and is woken by what makes room under it.
#[test]
fn who_waits_is_woken_when_the_floor_allows_it() {
    let _watchdog = watch("a change of priority");
    on_both_devices(|world| {
        for way in [Way::Lowered, Way::Released, Way::Raised, Way::ConsumerLeft] {
            let manager = floored(world, 4);
            let weights = |priority| sourced(1, units(3)).priority(priority);
            let low = manager.acquire_shared_weights("w", weights(0)).unwrap();
            let high = manager.acquire_shared_weights("w", weights(5)).unwrap();
            let absent = manager.register(sourced(2, units(4))).unwrap();
            let began = Instant::now();
            refused(absent.access_timeout(SHORT));
            assert!(began.elapsed() >= SHORT && low.is_resident(), "it waited, and took nothing");
            thread::scope(|scope| {
                let waiter = scope.spawn(|| absent.access_timeout(LONG).map(drop));
                thread::sleep(SHORT); // for it to begin to wait; nothing depends on whether it was enough
                match way {
                    Way::Lowered => high.set_priority(0),
                    Way::Released => [&low, &high].into_iter().for_each(VramHandle::release),
                    Way::Raised => absent.set_priority(5),
                    Way::ConsumerLeft => high.release(),
                }
                waiter.join().unwrap().unwrap_or_else(|error| panic!("{way:?}: {error}"));
            });
            assert_holds(&absent, 2);
        }
    });
}

/// An order by id, which is asked while room is made; asked of number 1, it raises another entry in the same moment.
#[derive(Debug, Default)]
struct Raising(Mutex<Option<VramHandle>>);

impl EvictionOrder for Raising {
    fn score(&self, facts: &EntryFacts<'_>) -> u64 {
        if facts.label == "number 1" {
            self.0.lock().unwrap().iter().for_each(|handle| handle.set_priority(9));
        }
        facts.id
    }
}

/// A survey is of the past: who is raised between it and its own eviction stays, and the next in order leaves.
#[test]
fn who_is_raised_at_the_last_moment_stays() {
    on_both_devices(|world| {
        let raising = Arc::new(Raising::default());
        let policy = Policy::Custom(raising.clone());
        let manager = world.builder(2).floor(Floor::Requester).policy(policy).build().unwrap();
        let [first, second] = [0, 1].map(|seed| ranked(&manager, seed, 1, 0));
        let id = first.id();
        assert!(manager.lru_order().iter().map(|candidate| candidate.id).eq([id, second.id()]));
        *raising.0.lock().unwrap() = Some(first);
        assert_holds(&ranked(&manager, 2, 1, 0), 2);
        assert_eq!(world.recorder.evicted(), [second.id()], "and not {id}, which would have been the first");
        drop(raising.0.lock().unwrap().take());
    });
}

/// Threads that ask with priorities of their own, over capacity, and one whose entries change theirs: no eviction was for
/// anybody of a lower priority than it was chosen by.
#[test]
fn no_eviction_is_ever_for_who_ranks_lower() {
    let _watchdog = watch("threads under a floor");
    under_seeds(8, |seed| {
        let world = World::host();
        let manager = floored(&world, 12);
        thread::scope(|scope| {
            for rank in [-3, 0, 4] {
                let manager = &manager;
                scope.spawn(move || {
                    let (mut random, plugin) = (Random::new(seed, rank as u64), manager.plugin(&rank.to_string()));
                    let asked = |n: u64| sourced(n, units(1 + n % 3)).priority(rank).plugin(&plugin);
                    let handles: Vec<_> = (0..8).map(|n| manager.register(asked(n)).unwrap()).collect();
                    for _ in 0..300 {
                        drop(handles[random.below(8) as usize].access());
                    }
                });
            }
            scope.spawn(|| {
                let plugin = manager.plugin("9");
                let changing = manager.register(sourced(9, units(4)).plugin(&plugin)).unwrap();
                for _ in 0..300 {
                    changing.set_priority(9);
                    drop(changing.access());
                    changing.set_priority(-9);
                }
            });
        });
        let mut evictions = 0;
        for event in world.recorder.take() {
            if let Event::Evicted { rank, needed_by, .. } = event {
                evictions += 1;
                let asker: i32 = needed_by.parse().expect("plugins are named by their priority");
                assert!(rank.priority <= asker, "one of priority {} left for one of {asker}", rank.priority);
            }
        }
        assert!(evictions > 50, "{evictions} evictions");
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}
