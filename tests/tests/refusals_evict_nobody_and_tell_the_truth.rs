//! What cannot be satisfied is refused before anybody leaves, with numbers that are those of the books. Behaviour E1.

use freehold_cuda::{Access, Allocation, Bytes, Error, VramHandle, VramManager};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::world::{U, World, assert_holds, load, on_both_devices, sourced, units, written};
use std::cell::Cell;

/// Requested, free, largest hole, evictable, pinned, in granules.
fn numbers(error: &Error) -> [u64; 5] {
    let Error::OutOfMemory { requested, free, largest_hole, evictable, pinned, .. } = error else { panic!("{error}") };
    [requested, free, largest_hole, evictable, pinned].map(|bytes| bytes.get() / U)
}

/// Refused, and nobody left or moved for it.
fn refused(world: &World, manager: &VramManager, asked: Allocation) -> [u64; 5] {
    world.recorder.take();
    let before = manager.stats();
    let error = manager.allocate(asked).expect_err("it cannot be satisfied");
    let after = manager.stats();
    assert_eq!((after.evictions, after.moves, after.refusals), (before.evictions, before.moves, before.refusals + 1));
    assert_eq!(world.recorder.take().len(), 1, "the refusal itself");
    numbers(&error)
}

/// E1: bytes in sum are not enough: the pins leave no run that is long enough.
#[test]
fn pins_that_leave_no_run_refuse() {
    on_both_devices(|world| {
        let manager = world.manager(9);
        let handles: Vec<VramHandle> = (0..9).map(|seed| load(&manager, seed, 1)).collect();
        let _walls: Vec<Access<'_>> = [2, 5].iter().map(|&wall: &usize| handles[wall].access().unwrap()).collect();
        assert_eq!(refused(world, &manager, sourced(20, units(4))), [4, 0, 0, 7, 2]);
        let three = load(&manager, 21, 3);
        assert_holds(&three, 21);
        assert_eq!(world.recorder.evicted(), [0, 1, 3].map(|index: usize| handles[index].id()));
        assert_eq!(manager.stats().moves, 3, "the last three made way by moves, into the places of those who left");
    });
}

/// E1: a fixed block can make way only where it finds a place in one piece: bytes elsewhere are not enough.
#[test]
fn a_fixed_block_that_cannot_make_way_refuses() {
    on_both_devices(|world| {
        let manager = world.manager(10);
        // |  w0  |wall|  w1  |wall|  fixed 3 |free|: only the last run is long enough, if the fixed one fitted elsewhere.
        let first = load(&manager, 0, 2);
        let wall = load(&manager, 1, 1);
        let second = load(&manager, 2, 2);
        let other_wall = load(&manager, 3, 1);
        let fixed = written(&manager, 4, Allocation::new(units(3)).fixed());
        let _guards = (wall.access().unwrap(), other_wall.access().unwrap());
        assert_eq!(refused(world, &manager, sourced(20, units(4))), [4, 1, 1, 4, 5]);
        assert_holds(&first, 0);
        assert_holds(&second, 2);
        assert_holds(&fixed, 4);
    });
}

/// E1: what is charged to a reservation lets nobody outside it in, and a full reservation lets nobody in by itself.
#[test]
fn reservations_are_counted_where_they_are() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let reservation = manager.reserve(units(4)).unwrap();
        let within = manager.allocate(sourced(1, units(4)).within(&reservation)).unwrap();
        let fixed = written(&manager, 2, Allocation::new(units(3)).fixed());
        let weight = load(&manager, 3, 1);
        assert_eq!(refused(world, &manager, sourced(4, units(3))), [3, 0, 0, 5, 3]);
        let guard = within.access().unwrap();
        assert_eq!(refused(world, &manager, sourced(5, units(3)).within(&reservation)), [3, 0, 0, 1, 7]);
        drop(guard);
        let inside = manager.allocate(sourced(6, units(3)).within(&reservation)).unwrap();
        // In exact order: `weight` was colder than the one in the reservation.
        assert!(!within.is_resident());
        assert_holds(&inside, 6);
        assert_holds(&fixed, 2);
        assert_holds(&weight, 3);
    });
}

/// E1: the text says all five numbers and what to do.
#[test]
fn the_text_tells_all() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let _fixed = written(&manager, 1, Allocation::new(units(5)).fixed());
        let _weight = load(&manager, 2, 1);
        let text = manager.allocate(sourced(3, units(4))).unwrap_err().to_string();
        assert_eq!(
            text,
            "out of memory: 2048 bytes asked, 1024 bytes free (longest hole 1024 bytes), 512 bytes evictable, 2560 bytes \
             staying; with all gone that may leave, at most 1536 bytes could be had; budget 4096 bytes; evictable: 512 bytes at priority 0; staying: 2560 bytes fixed (\"\"); try: \
             raise the budget by 2048 bytes, ask for at most 1536 bytes at once"
        );
    });
}

/// E1: over random states the numbers are the books': free, evictable and pinned bytes sum up to the budget, and each is
/// what a count of the handles gives. What is satisfied is satisfied for good.
#[test]
fn the_numbers_are_those_of_the_books() {
    on_both_devices(|world| {
        let refusals = Cell::new(0);
        under_seeds(60, |seed| {
            let mut random = Random::new(seed, 0);
            let manager = world.manager(32);
            let mut handles: Vec<(VramHandle, bool)> = Vec::new();
            for number in 0..40 {
                let fixed = random.once_in(3);
                let asked = sourced(number, units(1 + random.below(6)));
                let asked = if fixed { asked.fixed() } else { asked };
                handles.extend(manager.allocate(asked).ok().map(|handle| (handle, fixed)));
                if random.once_in(2) && !handles.is_empty() {
                    handles.swap_remove(random.below(handles.len() as u64) as usize);
                }
            }
            let pins: Vec<Option<Access<'_>>> = handles
                .iter()
                .map(|(handle, _)| (random.once_in(4) && handle.is_resident()).then(|| handle.access().unwrap()))
                .collect();
            let sum = |stays: bool| -> u64 {
                let counted = handles
                    .iter()
                    .zip(&pins)
                    .filter(|((handle, fixed), pin)| handle.is_resident() && (*fixed || pin.is_some()) == stays);
                counted.map(|((handle, _), _)| handle.reserved_bytes().get() / U).sum()
            };
            for asked in (1..=32).rev() {
                let (evictable, pinned, before) = (sum(false), sum(true), manager.stats());
                let Err(error) = manager.allocate(Allocation::new(units(asked)).fixed()).map(drop) else { continue };
                refusals.set(refusals.get() + 1);
                let [requested, free, largest_hole, told_evictable, told_pinned] = numbers(&error);
                assert_eq!((requested, told_evictable, told_pinned), (asked, evictable, pinned));
                assert_eq!(free + evictable + pinned, 32);
                assert!(largest_hole <= free);
                assert_eq!(manager.stats().evictions, before.evictions, "nobody left for a refusal");
            }
            manager.audit().unwrap();
        });
        assert!(refusals.get() > 200, "{refusals:?} were looked at");
    });
}

/// A7 and E1 side by side: what is too large for the budget is another error than what is too large for now.
#[test]
fn too_large_for_ever_is_not_out_of_memory() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let _fixed = written(&manager, 1, Allocation::new(units(1)).fixed());
        assert_eq!(refused(world, &manager, sourced(2, units(4))), [4, 3, 3, 0, 1]);
        let refused = manager.allocate(sourced(2, Bytes(4 * U + 1)));
        assert!(matches!(refused, Err(Error::TooLarge { .. })));
        assert_eq!(manager.stats().refusals, 1);
    });
}

/// P19: bytes set aside in one manager count in no other.
#[test]
fn a_reservation_of_another_manager_is_refused() {
    let world = World::host();
    let (mine, other) = (world.manager(8), world.manager(8));
    let set_aside = other.reserve(units(4)).unwrap();
    let refused = mine.allocate(sourced(1, units(2)).within(&set_aside)).unwrap_err();
    assert!(matches!(refused, Error::BadAllocation(_)), "{refused}");
    assert_eq!((set_aside.used(), mine.audit().unwrap().buffers), (Bytes(0), 0));
}
