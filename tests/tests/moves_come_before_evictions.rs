//! Where the bytes suffice but not in one piece, blocks are moved and nobody leaves. Behaviours B3 (its second half), B7.
//!
//! Not covered here: which moves are the cheapest (`compaction_plans_hold`).

use freehold_cuda::{Allocation, Event, VramHandle, VramManager};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::world::{U, World, assert_holds, content, load, on_both_devices, sourced, units, written};

/// A full manager in which every second block has gone.
fn riddled(world: &World, manager: &VramManager, size: u64) -> Vec<(VramHandle, u64)> {
    let count = manager.budget().get() / U / size;
    let all: Vec<_> = (0..count).map(|seed| (load(manager, seed, size), seed)).collect();
    world.recorder.take();
    all.into_iter().skip(1).step_by(2).collect()
}

fn moved(events: &[Event]) -> Vec<u64> {
    events.iter().filter_map(|event| if let Event::Moved { id, .. } = event { Some(*id) } else { None }).collect()
}

/// B3: half the bytes are free in pieces: a request for all of them moves the others together, contents and names kept.
#[test]
fn pieces_become_one_without_an_eviction() {
    on_both_devices(|world| {
        let manager = world.manager(16);
        let kept = riddled(world, &manager, 1);
        let large = load(&manager, 99, 8);
        let events = world.recorder.take();
        assert!(!moved(&events).is_empty(), "{events:?}");
        assert_eq!(manager.stats().evictions, 0);
        assert_eq!(manager.stats().moves, moved(&events).len() as u64);
        assert!(kept.iter().all(|(handle, _)| handle.is_resident()));
        kept.iter().for_each(|(handle, seed)| assert_holds(handle, *seed));
        assert_holds(&large, 99);
        manager.audit().unwrap();
    });
}

/// B3: a block may slide by less than its own length: old place and new overlap, and its bytes are right.
#[test]
fn a_block_may_slide_into_its_own_place() {
    on_both_devices(|world| {
        let manager = world.manager(12);
        let small = load(&manager, 1, 1);
        let wide = load(&manager, 2, 8);
        drop(small);
        let four = load(&manager, 3, 4);
        assert_eq!((manager.stats().evictions, manager.stats().moved_bytes), (0, 8 * U));
        assert_holds(&wide, 2);
        assert_holds(&four, 3);
    });
}

/// B3: a fixed block is moved rather than a weight evicted.
#[test]
fn a_fixed_block_moves_rather_than_a_weight_leaves() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let front = load(&manager, 1, 2);
        let fixed = written(&manager, 2, Allocation::new(units(1)).fixed());
        let behind = load(&manager, 3, 3);
        let weight = load(&manager, 4, 2);
        drop((front, behind));
        let four = load(&manager, 5, 4);
        assert_eq!((manager.stats().evictions, moved(&world.recorder.take())), (0, vec![fixed.id()]));
        assert_holds(&fixed, 2);
        assert_holds(&weight, 4);
        assert_holds(&four, 5);
    });
}

/// B7: the pinned stands still while others move around it; where it leaves no run, somebody leaves.
#[test]
fn the_pinned_stands_still() {
    on_both_devices(|world| {
        let manager = world.manager(16);
        let kept = riddled(world, &manager, 2);
        let guard = kept[3].0.access().unwrap(); // the last two granules: a run of 14 is before it
        let address = guard.address();
        let large = load(&manager, 99, 8);
        assert_eq!((manager.stats().evictions, guard.address()), (0, address));
        let mut seen = vec![0; 2 * 512];
        guard.read(0, &mut seen).unwrap();
        assert_eq!(seen, content(kept[3].1, units(2)));
        drop((guard, large));
        let middle = kept[1].0.access().unwrap();
        let _large = load(&manager, 98, 9);
        assert!(middle.bytes() == units(2) && manager.stats().refusals == 0);
    });
}

/// Moves can be switched off: then somebody leaves instead, in order.
#[test]
fn without_moves_somebody_leaves() {
    on_both_devices(|world| {
        let manager = world.builder(16).moves(false).build().unwrap();
        let kept = riddled(world, &manager, 1);
        let large = load(&manager, 99, 2);
        assert_eq!(world.recorder.evicted(), [kept[0].0.id()]);
        assert_eq!(manager.stats().moves, 0);
        assert_holds(&large, 99);
        kept.iter().for_each(|(handle, seed)| assert_holds(handle, *seed));
    });
}

/// An alignment asked for is kept by moves too.
#[test]
fn moves_keep_alignments() {
    on_both_devices(|world| {
        let manager = world.manager(32);
        let align = freehold_cuda::Bytes(4 * U);
        let small: Vec<VramHandle> = (0..8).map(|seed| load(&manager, seed, 1)).collect();
        let aligned: Vec<VramHandle> =
            (10..14).map(|seed| manager.allocate(sourced(seed, units(3)).align(align)).unwrap()).collect();
        drop(small);
        let _large = load(&manager, 99, 16);
        assert_eq!(manager.stats().evictions, 0);
        for (handle, seed) in aligned.iter().zip(10..) {
            assert_eq!(handle.access().unwrap().address().0 % align.get(), 0);
            assert_holds(handle, seed);
        }
    });
}

/// A move has its price: what copies more than ten times the next victim is not made, and the victim leaves.
#[test]
fn a_dear_move_is_not_made() {
    on_both_devices(|world| {
        let manager = world.manager(32);
        let front = load(&manager, 1, 1);
        let wide = load(&manager, 2, 28);
        let behind = load(&manager, 3, 2);
        wide.touch();
        drop(front);
        let two = load(&manager, 4, 2); // one granule is free on either side of the rest
        assert_eq!((manager.stats().moves, world.recorder.evicted()), (0, vec![behind.id()]));
        assert_holds(&wide, 2);
        assert_holds(&two, 4);
    });
}

/// Random sizes, pins and departures: as long as nobody is pinned, nobody leaves while the bytes suffice; every byte is right
/// throughout, and a pinned block's address never changes. (Of sizes and a card at which every move is worth its price.)
#[test]
fn nobody_leaves_while_the_bytes_suffice() {
    on_both_devices(|world| {
        under_seeds(40, |seed| {
            let mut random = Random::new(seed, 0);
            let manager = world.manager(40);
            let mut held: Vec<(VramHandle, u64)> = Vec::new();
            for number in 0..150 {
                let size = 4 + random.below(7);
                let (free, before) = (40 - manager.stats().resident_bytes / U, manager.stats().evictions);
                // At most two that never leave: every other one then finds room.
                let fixed = random.once_in(4) && held.iter().filter(|(one, _)| one.label().is_empty()).count() < 2;
                let asked = Allocation::new(units(size));
                let made = if fixed && free >= size {
                    written(&manager, number, asked.fixed())
                } else if let Ok(made) = manager.allocate(sourced(number, units(size))) {
                    made
                } else {
                    assert!(size > free, "{size} were refused with {free} free");
                    continue; // the fixed ones leave too little
                };
                assert!(size > free || manager.stats().evictions == before, "{size} fitted into {free}");
                held.push((made, number));
                while held.len() > 12 || (random.once_in(3) && !held.is_empty()) {
                    held.swap_remove(random.below(held.len() as u64) as usize);
                }
                if let Some((pinned, content)) = held.last() {
                    let guard = pinned.access().unwrap();
                    let address = guard.address();
                    let _pressure = manager.allocate(sourced(999, units(1 + random.below(20))));
                    assert_eq!(guard.address(), address);
                    drop(guard);
                    assert_holds(pinned, *content);
                }
            }
            held.iter().for_each(|(handle, content)| assert_holds(handle, *content));
            manager.audit().unwrap();
        });
    });
}

/// B2, B3: where every block may move at its price, places do not matter: whoever leaves is who leaves by counting bytes, in
/// exact order, with sizes mixed.
#[test]
fn with_moves_eviction_is_exact_byte_counting() {
    const CARD: u64 = 40;
    on_both_devices(|world| {
        under_seeds(60, |seed| {
            let mut random = Random::new(seed, 0);
            let manager = world.manager(CARD);
            world.recorder.take();
            let mut handles: Vec<VramHandle> = Vec::new();
            let mut order: Vec<usize> = Vec::new(); // the resident ones, coldest first
            for _ in 0..200 {
                let used = if handles.len() < 24 && random.once_in(3) {
                    handles.push(manager.register(sourced(handles.len() as u64, units(4 + random.below(7)))).unwrap());
                    continue;
                } else if handles.is_empty() {
                    continue;
                } else {
                    random.below(handles.len() as u64) as usize
                };
                assert_holds(&handles[used], used as u64);
                let mut expected = Vec::new();
                match order.iter().position(|at| *at == used) {
                    Some(at) => drop(order.remove(at)),
                    None => {
                        let size = |at: &usize| handles[*at].reserved_bytes().get() / U;
                        while order.iter().map(size).sum::<u64>() + size(&used) > CARD {
                            expected.push(handles[order.remove(0)].id());
                        }
                    }
                }
                order.push(used);
                assert_eq!(world.recorder.evicted(), expected);
            }
            assert!(manager.stats().evictions > 20 && manager.stats().moves > 0, "{:?}", manager.stats());
        });
    });
}
