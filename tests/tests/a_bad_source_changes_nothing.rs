//! A source that fails, panics, lies about its length or takes its time harms its own entry's reader, and nobody else.
//! Behaviours C5 to C7, C9. Not here: what sources and observers may do (C8, `callbacks_may_do_anything`).

use freehold_cuda::{Allocation, Bytes, Error, source};
use freehold_tests::sources::{Manner, Probe, silence_panics_of_sources};
use freehold_tests::world::{World, assert_holds, load, on_both_devices, units, written};

const BAD: [Manner; 4] = [Manner::Fails, Manner::Panics, Manner::Short, Manner::Long];

fn assert_told(error: &Error, manner: Manner) {
    let label = "the one";
    match (manner, error) {
        (Manner::Fails, Error::SourceFailed { label: told, reason }) => {
            assert_eq!((&**told, reason.to_string()), (label, "the disk is gone".to_owned()));
        }
        (Manner::Panics, Error::SourcePanicked { label: told, message }) => {
            assert_eq!((&**told, &**message), (label, "the source fell over"));
        }
        (Manner::Short, Error::SourceLength { label: told, expected, given }) => {
            assert_eq!((&**told, *given), (label, Bytes(expected.get() - 1)));
        }
        (Manner::Long, Error::SourceLength { label: told, expected, given }) => {
            assert_eq!((&**told, *given), (label, Bytes(expected.get() + 1)));
        }
        _ => panic!("{manner:?} came to {error}"),
    }
}

fn quietly(claim: impl Fn(&World)) {
    silence_panics_of_sources();
    on_both_devices(claim);
}

/// C5, C6, C7: a first load that goes wrong is told as what it was; place and books are as before, others intact, and the
/// next allocation works.
#[test]
fn a_bad_first_load_leaves_nothing() {
    quietly(|world| {
        let manager = world.manager(4);
        let other = load(&manager, 9, 2);
        let before = manager.audit().unwrap();
        for manner in BAD {
            let probe = Probe::new(1, units(2));
            probe.behave(manner);
            let asked = Allocation::new(units(2)).label("the one").shared_source(probe.clone());
            assert_told(&manager.allocate(asked.clone()).unwrap_err(), manner);
            assert_eq!(manager.audit().unwrap(), before);
            probe.behave(Manner::Good);
            assert_holds(&manager.allocate(asked).unwrap(), 1);
        }
        assert_holds(&other, 9);
        assert_eq!(manager.stats().evictions, 0);
    });
}

/// C5, C6, C7: on the way back, the error comes each time; after repair the content does. Nobody is evicted in between but
/// for the room that was needed.
#[test]
fn a_bad_reload_can_be_repaired() {
    quietly(|world| {
        let manager = world.manager(4);
        let probe = Probe::new(1, units(2));
        let handle = manager.allocate(Allocation::new(units(2)).label("the one").shared_source(probe.clone())).unwrap();
        for manner in BAD {
            manager.evict_for_space(units(4)).unwrap();
            let other = written(&manager, 8, Allocation::new(units(2)).fixed());
            probe.behave(manner);
            for _ in 0..3 {
                assert_told(&handle.access().map(|_| ()).unwrap_err(), manner);
                assert_eq!((manager.audit().unwrap().resident, handle.is_resident()), (units(2), false));
            }
            probe.behave(Manner::Good);
            assert_holds(&handle, 1);
            assert_holds(&other, 8);
        }
    });
}

/// C7: no byte of a short entry is ever seen: neither what was there before nor a neighbour's.
#[test]
fn what_did_not_come_is_not_shown() {
    quietly(|world| {
        let manager = world.manager(2);
        drop(written(&manager, 5, Allocation::new(units(2)).fixed())); // somebody's secret
        let probe = Probe::new(1, units(2));
        let handle = manager.register(Allocation::new(units(2)).label("the one").shared_source(probe.clone())).unwrap();
        probe.behave(Manner::Short);
        assert_told(&handle.access().map(|_| ()).unwrap_err(), Manner::Short);
        assert!(!handle.is_resident());
    });
}

/// C7: one write of far too many bytes, and a source that gives nothing at all.
#[test]
fn nothing_and_far_too_much_are_lengths_too() {
    on_both_devices(|world| {
        let manager = world.manager(4);
        let neighbour = load(&manager, 9, 2);
        for given in [0, 4096] {
            let asked = Allocation::new(Bytes(600)).source(source::writer(move |sink| {
                let _ = sink.write(&vec![0xEE; given]);
                Ok(())
            }));
            let refused = manager.allocate(asked).unwrap_err();
            let told = matches!(&refused, Error::SourceLength { expected: Bytes(600), given: told, .. }
                if told.get() == given as u64);
            assert!(told, "{refused}");
        }
        assert_holds(&neighbour, 9);
    });
}

/// C9: while a source takes its time, others allocate, access, evict and drop.
#[test]
fn a_slow_source_delays_nobody() {
    on_both_devices(|world| {
        let manager = world.manager(6);
        let probe = Probe::new(1, units(2));
        let slow = manager.register(Allocation::new(units(2)).shared_source(probe.clone())).unwrap();
        std::thread::scope(|scope| {
            let holding = probe.hold();
            scope.spawn(|| assert_holds(&slow, 1));
            probe.await_calls(1);
            // From here on the slow one is under way until we say so: nothing below may wait for it.
            let other = load(&manager, 2, 2);
            for seed in 10..20 {
                assert_holds(&load(&manager, seed, 4), seed);
                assert_holds(&other, 2);
            }
            assert!(manager.evict_for_space(units(6)).is_err(), "the slow one's place stands");
            drop(holding);
        });
        assert!(slow.is_resident());
        assert_holds(&slow, 1);
    });
}
