//! Who leaves: never before it is needed, strictly by priority and then by last use, exactly as many as needed. Behaviours
//! B1 to B10; `manager_agrees_with_its_naive_twin` runs the same order under random operations.

use freehold_cuda::{Allocation, Bytes, Error, ManualClock, VramHandle, VramManager};
use freehold_tests::world::{World, assert_holds, load, on_both_devices, sourced, units, written};
use std::sync::Arc;

fn prioritised(manager: &VramManager, seed: u64, priority: i32) -> VramHandle {
    manager.allocate(sourced(seed, units(1)).priority(priority)).unwrap()
}

/// The ids of those who leave, in order, when all must.
fn all_leave(world: &World, manager: &VramManager) -> Vec<u64> {
    world.recorder.take();
    let told: Vec<u64> = manager.lru_order().iter().map(|candidate| candidate.id).collect();
    let left = manager.evict_for_space(manager.budget()).unwrap();
    assert_eq!(told, left.iter().map(|candidate| candidate.id).collect::<Vec<_>>(), "lru_order said so before");
    assert_eq!(world.recorder.evicted(), told, "and the observer saw it");
    told
}

/// B1: nobody leaves while the request fits; B3: exactly as many as needed, whatever their sizes.
#[test]
fn exactly_as_many_leave_as_needed() {
    on_both_devices(|world| {
        let manager = world.manager(10);
        let handles: Vec<VramHandle> =
            [4, 1, 3, 1].iter().zip(0..).map(|(&size, seed)| load(&manager, seed, size)).collect();
        let _fits = load(&manager, 10, 1);
        assert_eq!(world.recorder.evicted(), [0; 0]);
        let _five = load(&manager, 11, 5); // a best fit would take 1 and 2 out of the middle: the order says 0 and 1
        assert_eq!(world.recorder.evicted(), [handles[0].id(), handles[1].id()]);
    });
}

/// B2: the lower priority goes first whatever the age; among equals the coldest.
#[test]
fn priority_comes_before_age() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = [5, -1, 0, 5, -1, 0]
            .iter()
            .zip(0..)
            .map(|(&priority, seed)| prioritised(&manager, seed, priority))
            .collect();
        handles[1].touch(); // hot, and still among the lowest
        let expected = [4, 1, 2, 5, 0, 3].map(|index: usize| handles[index].id());
        assert_eq!(all_leave(world, &manager), expected);
    });
}

/// B4: access and touch are uses; reading size, id, state, statistics or the order is none. B6: the used is the hottest.
#[test]
fn only_use_is_use() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        drop(handles[0].access().unwrap());
        handles[2].touch();
        let looked = (handles[1].bytes(), handles[1].id(), handles[1].key(), handles[1].is_resident());
        let also = (handles[1].priority(), handles[1].label().len(), handles[1].reserved_bytes(), manager.stats());
        assert!(looked.3 && also.1 > 0 && manager.lru_order().len() == 4);
        assert_eq!(all_leave(world, &manager), [1, 3, 0, 2].map(|index: usize| handles[index].id()));
    });
}

/// B4: a guard's life is one use, at its beginning; its end is none.
#[test]
fn a_pin_is_a_use_when_it_begins() {
    on_both_devices(|world| {
        let manager = world.manager(2);
        let (first, second) = (load(&manager, 1, 1), load(&manager, 2, 1));
        let guard = first.access().unwrap();
        second.touch();
        drop(guard);
        assert_eq!(all_leave(world, &manager), [first.id(), second.id()]);
    });
}

/// B5: uses of one tick leave in the order of their ids, every time.
#[test]
fn ties_go_to_the_older() {
    on_both_devices(|world| {
        let clock = Arc::new(ManualClock::new());
        let manager = world.builder(6).clock(clock.clone()).build().unwrap();
        let handles: Vec<VramHandle> = (0..6).map(|seed| load(&manager, seed, 1)).collect();
        for _ in 0..3 {
            clock.advance();
            handles.iter().rev().for_each(|handle| handle.touch());
            assert_eq!(all_leave(world, &manager), [0, 1, 2, 3, 4, 5].map(|index: usize| handles[index].id()));
            handles.iter().for_each(|handle| drop(handle.access().unwrap()));
        }
    });
}

/// B6: an entry that is brought back is the hottest, and never a victim of its own return.
#[test]
fn the_returning_is_the_hottest() {
    on_both_devices(|world| {
        let manager = world.manager(3);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect(); // 0 has left for 3
        world.recorder.take();
        assert_holds(&handles[0], 0);
        assert_eq!(world.recorder.evicted(), [handles[1].id()]);
        assert_eq!(all_leave(world, &manager), [2, 3, 0].map(|index: usize| handles[index].id()));
    });
}

/// B7: the pinned is passed over until its last pin is gone, and its address does not change; pins nest.
#[test]
fn the_pinned_stays_where_it_is() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        let (outer, inner) = (handles[0].access().unwrap(), handles[0].access().unwrap());
        let address = outer.address();
        let _three = load(&manager, 10, 3);
        assert_eq!(world.recorder.evicted(), [1, 2, 3].map(|index: usize| handles[index].id()));
        drop(inner);
        assert!(manager.evict_for_space(units(4)).is_err(), "one pin is left");
        assert_eq!(outer.address(), address);
        drop(outer);
        assert_holds(&handles[0], 0);
        assert_eq!(manager.evict_for_space(units(4)).unwrap().len(), 2);
        assert!(!handles[0].is_resident());
    });
}

/// B8: a priority counts from the next eviction on, whether it was changed resident, evicted or pinned; all of i32 orders.
#[test]
fn a_priority_may_change_at_any_time() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..4).map(|seed| prioritised(&manager, seed, 0)).collect();
        handles[0].set_priority(i32::MAX);
        handles[3].set_priority(i32::MIN);
        let pinned = handles[1].access().unwrap();
        handles[1].set_priority(1);
        drop(pinned);
        assert_eq!(all_leave(world, &manager), [3, 2, 1, 0].map(|index: usize| handles[index].id()));
        handles[0].set_priority(i32::MIN); // evicted
        handles[3].set_priority(i32::MAX);
        (0..4).for_each(|index| assert_holds(&handles[index], index as u64));
        assert_eq!(all_leave(world, &manager), [0, 2, 1, 3].map(|index: usize| handles[index].id()));
    });
}

/// B9: a request of low priority may evict a resident of a higher one: the walk has no lower bound.
#[test]
fn the_low_may_evict_the_high() {
    on_both_devices(|world| {
        let manager = world.manager(2);
        let high = manager.allocate(sourced(1, units(2)).priority(9)).unwrap();
        let low = manager.allocate(sourced(2, units(1)).priority(-9)).unwrap();
        assert_eq!(world.recorder.evicted(), [high.id()]);
        assert_holds(&low, 2);
        assert_holds(&high, 1);
    });
}

/// B10: the absent are no victims again, and what an eviction frees is really there.
#[test]
fn eviction_is_physical_and_happens_once() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
        assert_eq!(all_leave(world, &manager).len(), 4);
        assert_eq!(manager.audit().unwrap().free, units(4));
        assert_eq!(all_leave(world, &manager), [0; 0]);
        let whole = written(&manager, 9, Allocation::new(units(4)).fixed());
        assert_eq!(world.recorder.evicted(), [0; 0]);
        assert!(matches!(handles[0].access(), Err(Error::OutOfMemory { evictable: Bytes(0), .. })));
        assert_holds(&whole, 9);
    });
}

/// `evict_for_space` evicts what is missing and no more, and says who left.
#[test]
fn room_is_made_for_what_is_missing() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = (0..6).map(|seed| load(&manager, seed, 1)).collect();
        assert_eq!(manager.evict_for_space(units(2)).unwrap(), [], "two are free");
        let left = manager.evict_for_space(units(5)).unwrap();
        assert_eq!(
            left.iter().map(|one| one.id).collect::<Vec<_>>(),
            [0, 1, 2].map(|index: usize| handles[index].id())
        );
        assert_eq!((&*left[0].label, left[0].bytes), ("number 0", units(1)));
    });
}
