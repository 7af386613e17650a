//! A handle is the same handle whether its memory is there or not: name, size, content. Behaviours C1 to C4, C10 to C12.

use freehold_cuda::{Allocation, Bytes, Error, VramHandle};
use freehold_tests::seeded::Random;
use freehold_tests::sources::Probe;
use freehold_tests::world::{assert_holds, load, on_both_devices, sourced, units, write, written};
use std::collections::HashSet;

/// C1: eviction keeps id, key, size, label and priority.
#[test]
fn the_name_stays() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handle = manager.allocate(sourced(1, Bytes(999)).priority(3).label("the one")).unwrap();
        let name = |handle: &VramHandle| {
            (handle.id(), handle.key(), handle.bytes(), handle.label().to_owned(), handle.priority())
        };
        let before = name(&handle);
        manager.evict_for_space(units(4)).unwrap();
        assert!(!handle.is_resident());
        assert_eq!(name(&handle), before);
        assert_holds(&handle, 1);
        assert_eq!(name(&handle), before);
    });
}

/// C1: an id is nobody else's, ever; a key is nobody else's while a handle lives.
#[test]
fn names_are_given_once() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let (mut ids, mut keys) = (HashSet::new(), HashSet::new());
        for round in 0..200 {
            let handle = load(&manager, round, 1);
            assert!(ids.insert(handle.id()), "id {} again", handle.id());
            assert!(keys.insert(handle.key()), "key {} again", handle.key());
        }
    });
}

/// C2: what comes back is bit-identical, however often, from a source and from a spill. C3: the same code reads both.
#[test]
fn content_comes_back_bit_identical() {
    on_both_devices(|world| {
        let manager = world.manager(6);
        let mut handles: Vec<VramHandle> = (0..6).map(|seed| load(&manager, seed, 2)).collect();
        handles.push(written(&manager, 6, Allocation::new(units(2))));
        for round in 0..50 {
            handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
            assert!(manager.stats().evictions > round * 4, "each round brings most of them back");
        }
        assert_eq!(manager.audit().unwrap().resident, units(6));
    });
}

/// C4: one call a materialisation; eight who come at once cause one.
#[test]
fn eight_who_come_at_once_cause_one_call() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let probe = Probe::new(5, units(4));
        let handle = manager.allocate(Allocation::new(units(4)).shared_source(probe.clone())).unwrap();
        for round in 2..10 {
            manager.evict_for_space(units(4)).unwrap();
            std::thread::scope(|scope| {
                let _holding = probe.hold();
                (0..8).for_each(|_| drop(scope.spawn(|| assert_holds(&handle, 5))));
                probe.await_calls(round);
            });
            assert_eq!(probe.calls(), round);
        }
        assert_eq!(manager.stats().loads, 9);
    });
}

/// A registered entry takes no memory until it is used, and is then like any other.
#[test]
fn the_registered_come_when_they_are_used() {
    on_both_devices(|world| {
        let manager = world.manager(2);
        let handles: Vec<VramHandle> = (0..6).map(|seed| manager.register(sourced(seed, units(1))).unwrap()).collect();
        assert_eq!(manager.stats().resident_bytes, 0);
        handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
        assert_eq!((manager.stats().loads, manager.stats().evictions), (6, 4));
        assert!(matches!(manager.register(Allocation::new(units(1))), Err(Error::BadAllocation(_))));
    });
}

/// C10: without a source it is written out and comes back; declared fixed it stays.
#[test]
fn the_sourceless_are_spilled_or_stay() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let spilled = written(&manager, 1, Allocation::new(Bytes(700)));
        let fixed = written(&manager, 2, Allocation::new(units(2)).fixed());
        let _pressure = load(&manager, 3, 2);
        assert!(!spilled.is_resident() && fixed.is_resident());
        assert_eq!(world.recorder.evicted(), [spilled.id()]);
        assert_holds(&spilled, 1);
        assert_holds(&fixed, 2);
        assert!(manager.evict_for_space(units(4)).is_err(), "the fixed one never leaves");
    });
}

/// C11: a write through `access_mut` survives any number of evictions, and the source is not asked over it.
#[test]
fn a_write_survives_eviction() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let probe = Probe::new(1, units(3));
        let mut handle = manager.allocate(Allocation::new(units(3)).shared_source(probe.clone())).unwrap();
        let mut random = Random::new(11, 0);
        let mut shadow = freehold_tests::world::content(1, units(3));
        for _ in 0..30 {
            let (start, length) = (random.below(1400), random.below(100) as usize);
            let bytes: Vec<u8> = (0..length).map(|_| random.draw() as u8).collect();
            handle.access_mut().unwrap().write(start, &bytes).unwrap();
            shadow[start as usize..][..length].copy_from_slice(&bytes);
            manager.evict_for_space(units(4)).unwrap();
            if random.once_in(2) {
                drop(handle.access().unwrap()); // back, and away again unwritten
                manager.evict_for_space(units(4)).unwrap();
            }
            assert_eq!(freehold_tests::world::read(&handle), shadow);
        }
        assert_eq!(probe.calls(), 1, "the source has the old bytes: it is not asked again");
    });
}

/// C12: absent, with everything else pinned: an error now, and the content later.
#[test]
fn the_absent_wait_for_the_pinned() {
    on_both_devices(|world| {
        let manager = world.manager(2);
        let (first, second) = (load(&manager, 1, 2), load(&manager, 2, 2));
        let guard = second.access().unwrap();
        for _ in 0..3 {
            let refused = first.access().map(|_| ()).unwrap_err();
            assert!(matches!(refused, Error::OutOfMemory { pinned, .. } if pinned == units(2)), "{refused}");
        }
        drop(guard);
        assert_holds(&first, 1);
        assert_holds(&second, 2);
    });
}

/// A range outside the buffer is refused with its numbers, and nothing is written.
#[test]
fn a_range_outside_is_refused() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let (mut handle, neighbour) = (load(&manager, 1, 1), load(&manager, 2, 1));
        for (start, length) in [(512, 1), (511, 2), (u64::MAX, 1), (u64::MAX, 2), (0, 513)] {
            let refused = handle.access_mut().unwrap().write(start, &vec![0xEE; length]).unwrap_err();
            let told = matches!(refused, Error::OutOfRange { start: s, length: l, buffer: Bytes(512) }
                if s == start && l == Bytes(length as u64));
            assert!(told, "{refused}");
            assert!(handle.access().unwrap().read(start, &mut vec![0; length]).is_err());
        }
        assert_holds(&handle, 1);
        assert_holds(&neighbour, 2);
        write(&mut handle, 3);
        assert_holds(&handle, 3);
    });
}
