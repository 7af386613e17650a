//! What is asked for is what one gets: nothing, too much, the brim, alignments, neighbours. Behaviours A6 to A10.

use freehold_cuda::{Allocation, Bytes, Error, VramHandle};
use freehold_tests::world::{U, World, assert_holds, load, on_both_devices, sourced, units};

/// A6: no bytes make a valid handle, distinct from others, that costs and evicts nothing.
#[test]
fn zero_bytes_cost_nothing() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let full = load(&manager, 1, 4);
        let nothing = manager.allocate(sourced(2, Bytes(0))).unwrap();
        let nothing_else = manager.allocate(Allocation::new(Bytes(0)).fixed()).unwrap();
        assert_ne!(nothing.id(), nothing_else.id());
        assert_ne!(nothing.key(), nothing_else.key());
        assert_eq!((nothing.reserved_bytes(), nothing.bytes()), (Bytes(0), Bytes(0)));
        assert_holds(&nothing, 2);
        let guard = nothing_else.access().unwrap();
        assert_eq!(guard.address().0, 0, "no address that could be mistaken for one");
        assert!(guard.read(0, &mut [0]).is_err(), "there is no byte to read");
        assert_eq!(world.recorder.evicted(), [0; 0]);
        assert_holds(&full, 1);
        assert_eq!(manager.audit().unwrap().buffers, 1);
    });
}

/// A6: room for no bytes is always there: nobody leaves for it.
#[test]
fn room_for_nothing_evicts_nobody() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let _full = load(&manager, 1, 4);
        assert_eq!(manager.evict_for_space(Bytes(0)).unwrap(), []);
        assert_eq!(manager.reserve(Bytes(0)).unwrap().bytes(), Bytes(0));
        assert_eq!(world.recorder.evicted(), [0; 0]);
    });
}

/// A7: what could never fit is refused at once, with both numbers; nobody leaves, and no rounding wraps.
#[test]
fn too_much_is_refused_at_once() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let _resident = load(&manager, 1, 2);
        for asked in [units(4).get() + 1, 1 << 63, u64::MAX - U + 1, u64::MAX - 1, u64::MAX] {
            let too_large = |error: Error| match error {
                Error::TooLarge { requested, capacity } => (requested, capacity),
                other => panic!("{other}"),
            };
            let expected = (Bytes(asked), units(4));
            assert_eq!(too_large(manager.allocate(Allocation::new(Bytes(asked))).unwrap_err()), expected);
            assert_eq!(too_large(manager.evict_for_space(Bytes(asked)).unwrap_err()), expected);
            assert_eq!(too_large(manager.reserve(Bytes(asked)).map(|_| ()).unwrap_err()), expected);
            let text = manager.allocate(Allocation::new(Bytes(asked))).unwrap_err().to_string();
            assert!(text.contains(&Bytes(asked).to_string()) && text.contains("2048"), "{text}");
        }
        assert_eq!(world.recorder.take().len(), 1, "the one load and nothing else");
        assert_eq!(manager.audit().unwrap().handles, 1);
    });
}

/// A8: addresses are aligned to a granule, and to more where that was asked; spans do not meet.
#[test]
fn addresses_are_aligned_and_apart() {
    on_both_devices(|world| {
        let manager = world.manager(1 << 15);
        let aligns = [1, 256, 512, 1024, 4096, 65536, 1 << 20];
        let handles: Vec<(VramHandle, u64)> = (aligns.iter().cycle().take(42).zip(0..))
            .map(|(&align, seed)| {
                let bytes = Bytes(1 + seed * 997 % 5000);
                (manager.allocate(sourced(seed, bytes).align(Bytes(align))).unwrap(), align)
            })
            .collect();
        let guards: Vec<_> = handles.iter().map(|(handle, _)| handle.access().unwrap()).collect();
        let mut spans: Vec<(u64, u64)> = Vec::new();
        for ((handle, align), guard) in handles.iter().zip(&guards) {
            let address = guard.address().0;
            assert_eq!((address % align, address % 512), (0, 0), "{handle:?} aligned to {align}");
            assert_eq!(handle.reserved_bytes().get(), handle.bytes().get().next_multiple_of(512));
            spans.push((address, address + handle.reserved_bytes().get()));
        }
        spans.sort_unstable();
        assert!(spans.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{spans:?}");
        handles.iter().zip(0..).for_each(|((handle, _), seed)| assert_holds(handle, seed));
    });
}

/// A8: an alignment that cannot be kept is refused, not rounded.
#[test]
fn an_impossible_alignment_is_refused() {
    on_both_devices(|world| {
        let manager = world.manager(64);
        for align in [0, 3, 768, 1 << 62] {
            let refused = manager.allocate(Allocation::new(units(1)).align(Bytes(align)));
            assert!(matches!(refused, Err(Error::BadAllocation(_))), "{align}: {refused:?}");
        }
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}

/// A8: of requested and reserved bytes the statistics count what the card really loses.
#[test]
fn reserved_bytes_are_what_the_card_loses() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handle = manager.allocate(sourced(1, Bytes(513))).unwrap();
        assert_eq!((handle.bytes(), handle.reserved_bytes()), (Bytes(513), Bytes(1024)));
        assert_eq!(manager.stats().resident_bytes, 1024);
        assert_eq!(manager.stats().load_bytes, 513);
    });
}

/// A9: filling to the brim evicts nobody; one byte more does.
#[test]
fn the_brim_is_usable() {
    on_both_devices(|world| {
        let manager = world.manager(100);
        let mut handles: Vec<VramHandle> = (0..33).map(|seed| load(&manager, seed, 3)).collect();
        handles.push(load(&manager, 33, 1));
        assert_eq!(world.recorder.evicted(), [0; 0]);
        assert_eq!(manager.stats().resident_bytes, units(100).get());
        handles.push(manager.allocate(sourced(34, Bytes(1))).unwrap());
        assert_eq!(world.recorder.evicted(), [handles[0].id()]);
        handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
    });
}

/// A10: managers of one device, and of two, keep separate books: one's pressure moves nobody of the other.
#[test]
fn managers_keep_separate_books() {
    on_both_devices(|world| {
        let elsewhere = World::far();
        let managers = [world.manager(4), world.manager(4), elsewhere.manager(4)];
        let mut handles: Vec<Vec<VramHandle>> =
            managers.iter().map(|manager| (0..4).map(|seed| load(manager, seed, 1)).collect()).collect();
        handles[1].extend((4..12).map(|seed| load(&managers[1], seed, 1)));
        let evictions: Vec<u64> = managers.iter().map(|manager| manager.stats().evictions).collect();
        assert_eq!(evictions, [0, 8, 0]);
        for owned in &handles {
            owned.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
        }
        drop(handles);
        assert!(managers.iter().all(|manager| manager.audit().unwrap().handles == 0));
        elsewhere.check();
    });
}
