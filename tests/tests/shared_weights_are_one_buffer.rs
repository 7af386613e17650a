//! Shared weights: one buffer under a key, whoever holds it, until the last lets go. Behaviours D1 to D8.

use freehold_cuda::{Allocation, Bytes, Error, VramHandle, VramManager};
use freehold_tests::sources::{Manner, Probe};
use freehold_tests::world::{assert_holds, load, on_both_devices, sourced, units, written};
use std::sync::Arc;

fn acquire(manager: &VramManager, key: &str, seed: u64, size: u64) -> VramHandle {
    manager.acquire_shared_weights(key, sourced(seed, units(size))).unwrap()
}

/// D1: several plugins, one buffer, one load, a handle each.
#[test]
fn consumers_share_one_buffer_and_one_load() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let probe = Probe::new(1, units(4));
        let asked = || Allocation::new(units(4)).shared_source(probe.clone());
        let handles: Vec<VramHandle> =
            (0..3).map(|_| manager.acquire_shared_weights("weights", asked()).unwrap()).collect();
        let addresses: Vec<_> = handles.iter().map(|handle| handle.access().unwrap().address()).collect();
        assert!(addresses.iter().all(|address| *address == addresses[0]));
        assert_eq!((probe.calls(), manager.audit().unwrap().resident), (1, units(4)));
        handles.iter().for_each(|handle| assert_holds(handle, 1));
    });
}

/// D2: it lives until the last reference goes, in whatever order they go.
#[test]
fn the_buffer_lives_until_the_last_lets_go() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
            let mut handles: Vec<Option<VramHandle>> = (0..3).map(|_| Some(acquire(&manager, "k", 1, 2))).collect();
            for gone in order {
                assert_eq!(manager.audit().unwrap().resident, units(2));
                handles.iter().flatten().for_each(|handle| assert_holds(handle, 1));
                manager.release_shared_weights(handles[gone].take().unwrap());
            }
            assert_eq!(manager.audit().unwrap().handles, 0);
        }
    });
}

/// D3: pressure counts it once; it leaves and comes back as one.
#[test]
fn it_leaves_and_returns_as_one() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let handles: Vec<VramHandle> = (0..4).map(|_| acquire(&manager, "k", 1, 3)).collect();
        world.recorder.take();
        let left = manager.evict_for_space(units(4)).unwrap();
        assert_eq!((left.len(), left[0].bytes), (1, units(3)));
        assert!(handles.iter().all(|handle| !handle.is_resident()));
        assert_holds(&handles[3], 1);
        assert!(handles.iter().all(VramHandle::is_resident));
        assert_eq!((manager.stats().loads, manager.stats().evictions), (2, 1));
        assert_eq!(manager.audit().unwrap().resident, units(3));
    });
}

/// D4: it ranks by the highest priority of its live consumers, recomputed when one lets go or changes its mind, and by the
/// latest use of any.
#[test]
fn the_highest_live_consumer_counts() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let acquire = |priority| manager.acquire_shared_weights("k", sourced(1, units(1)).priority(priority)).unwrap();
        let (low, high, middle) = (acquire(1), acquire(9), acquire(5));
        let single = manager.allocate(sourced(2, units(1)).priority(5)).unwrap();
        let first_to_leave = || manager.lru_order()[0].id;
        assert_eq!((low.priority(), first_to_leave()), (9, single.id()));
        drop(high);
        assert_eq!((low.priority(), first_to_leave()), (5, low.id()), "colder than the single one");
        drop(middle.access().unwrap());
        assert_eq!(first_to_leave(), single.id(), "used by any is used");
        middle.set_priority(-3);
        assert_eq!((middle.priority(), first_to_leave()), (1, low.id()));
        drop(middle);
        low.set_priority(i32::MAX);
        assert_eq!((low.priority(), first_to_leave()), (i32::MAX, single.id()));
    });
}

/// D5: pinned by one is pinned for all, also when that one's handle lets go meanwhile.
#[test]
fn a_pin_of_one_is_a_pin_for_all() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let (first, second) = (acquire(&manager, "k", 1, 4), acquire(&manager, "k", 1, 4));
        let guard = first.access().unwrap();
        first.release();
        drop(second);
        assert!(manager.allocate(sourced(2, units(1))).is_err());
        let mut seen = vec![0; 4 * 512];
        guard.read(0, &mut seen).unwrap();
        assert_eq!(seen, freehold_tests::world::content(1, units(4)));
        drop(guard);
        assert_holds(&load(&manager, 2, 4), 2);
    });
}

/// D6: the same key with another size or other metadata is refused with both, and the existing one is untouched.
#[test]
fn a_key_means_one_thing() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let shaped = |seed, bytes, shape: &str| sourced(seed, bytes).metadata(shape);
        let existing = manager.acquire_shared_weights("k", shaped(1, Bytes(600), "f16 [300]")).unwrap();
        for (bytes, shape) in [(Bytes(601), "f16 [300]"), (Bytes(600), "f16 [150, 2]"), (Bytes(600), "")] {
            let refused = manager.acquire_shared_weights("k", shaped(2, bytes, shape)).unwrap_err();
            let Error::SharedMismatch { key, existing: has, asked } = &refused else { panic!("{refused}") };
            assert_eq!((&**key, &**has), ("k", "600 bytes, metadata \"f16 [300]\""));
            assert_eq!(**asked, format!("{bytes}, metadata {shape:?}"));
        }
        assert_holds(&existing, 1);
        assert_eq!((manager.stats().loads, manager.audit().unwrap().handles), (1, 1));
    });
}

/// D7: eight who acquire at once cause one load, and all have it.
#[test]
fn those_who_come_at_once_share_the_load() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let probe = Probe::new(1, units(4));
        std::thread::scope(|scope| {
            let _holding = probe.hold();
            for _ in 0..8 {
                scope.spawn(|| {
                    let asked = Allocation::new(units(4)).shared_source(probe.clone());
                    assert_holds(&manager.acquire_shared_weights("k", asked).unwrap(), 1);
                });
            }
            probe.await_calls(1);
        });
        assert!(probe.calls() <= 8, "{}", probe.calls());
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}

/// D7: while one handle lives there is one load, however many join and leave.
#[test]
fn those_who_come_while_it_lives_load_nothing() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let probe = Probe::new(1, units(4));
        let asked = || Allocation::new(units(4)).shared_source(probe.clone());
        let kept = manager.acquire_shared_weights("k", asked()).unwrap();
        std::thread::scope(|scope| {
            (0..8).for_each(|_| {
                scope.spawn(|| assert_holds(&manager.acquire_shared_weights("k", asked()).unwrap(), 1));
            });
        });
        assert_holds(&kept, 1);
        assert_eq!(probe.calls(), 1);
    });
}

/// D7: a loader that fails leaves no half entry: who comes with a good one gets it, also who was waiting.
#[test]
fn a_failed_loader_leaves_no_half_entry() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        for manner in [Manner::Fails, Manner::Short, Manner::Long] {
            let (bad, good) = (Probe::new(1, units(4)), Probe::new(1, units(4)));
            let asked = |probe: &Arc<Probe>| Allocation::new(units(4)).shared_source(probe.clone());
            bad.behave(manner);
            assert!(manager.acquire_shared_weights("k", asked(&bad)).is_err());
            assert_eq!(manager.audit().unwrap().handles, 0);
            let absent = manager.register_shared_weights("k", asked(&bad)).unwrap(); // listed, and cannot be had
            assert_holds(&manager.acquire_shared_weights("k", asked(&good)).unwrap(), 1);
            assert_eq!(good.calls(), 1);
            drop(absent);
        }
    });
}

/// D7, D1: a lack of room is no fault of the entry: it stays the one under its key.
#[test]
fn a_lack_of_room_makes_no_second_buffer() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let first = manager.register_shared_weights("k", sourced(1, units(2))).unwrap();
        let in_the_way = written(&manager, 9, Allocation::new(units(3)).fixed());
        let refused = manager.acquire_shared_weights("k", sourced(1, units(2)));
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
        drop(in_the_way);
        let second = acquire(&manager, "k", 1, 2);
        assert_eq!(second.id(), first.id());
        assert_holds(&first, 1);
        assert_eq!((manager.stats().loads, manager.audit().unwrap().resident), (1, units(2)));
    });
}

/// D8: released and acquired anew it is another generation, which the old handle cannot touch; one consumer that releases
/// thrice drops one reference.
#[test]
fn an_old_handle_cannot_touch_the_new_generation() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let (old, other) = (acquire(&manager, "k", 1, 2), acquire(&manager, "k", 1, 2));
        (0..3).for_each(|_| old.release());
        assert_holds(&other, 1);
        drop(other);
        let new = acquire(&manager, "k", 1, 2);
        assert_ne!(new.key(), old.key());
        assert!(matches!(old.access(), Err(Error::Released { .. })));
        old.set_priority(99);
        old.touch();
        drop(old);
        assert_eq!(new.priority(), 0);
        assert_holds(&new, 1);
        assert_eq!(manager.audit().unwrap().handles, 1);
    });
}

/// Shared weights are read by several: nobody gets to write them.
#[test]
fn nobody_writes_what_several_read() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let mut handle = acquire(&manager, "k", 1, 2);
        assert!(matches!(handle.access_mut(), Err(Error::Immutable { label }) if &*label == "number 1"));
        let sourceless = manager.acquire_shared_weights("other", Allocation::new(units(1)));
        assert!(matches!(sourceless, Err(Error::BadAllocation(_))));
    });
}
