//! A source that fails, panics, lies about its length or takes its time harms its own entry's reader, and nobody else.
//! Behaviours C5 to C9.

use freehold_cuda::{
    Allocation, Bytes, Error, Event, Observer, Sink, Source, SourceError, VramHandle, VramManager, source,
};
use freehold_tests::sources::{Manner, Probe, silence_panics_of_sources};
use freehold_tests::world::{World, assert_holds, load, on_both_devices, sourced, units, written};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};

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

/// C8: a source may read another managed handle, and allocate, while its own entry is brought.
#[test]
fn a_source_may_use_the_manager() {
    struct Nested(Arc<VramHandle>, Weak<VramManager>);
    impl Source for Nested {
        fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
            let manager = self.1.upgrade().expect("it is in use");
            let _scratch = manager.allocate(Allocation::new(units(1)))?;
            manager.evict_for_space(units(1))?;
            sink.write(&freehold_tests::world::read(&self.0))
        }
    }
    on_both_devices(|world| {
        let manager = Arc::new(world.manager(6));
        let inner = Arc::new(load(&manager, 1, 2));
        let nested = Nested(inner.clone(), Arc::downgrade(&manager));
        let outer = manager.allocate(Allocation::new(units(2)).source(nested)).unwrap();
        for _ in 0..5 {
            manager.evict_for_space(units(6)).unwrap();
            assert_holds(&outer, 1);
        }
    });
}

/// C8: a source and an observer that drop handles, also those of shared weights, meet no lock.
#[test]
fn a_source_may_drop_handles() {
    on_both_devices(|world| {
        let manager = world.manager(6);
        let shared = || sourced(2, units(1));
        let inner = manager.acquire_shared_weights("inner", shared()).unwrap();
        let holds = source::closure(move |target: &mut [u8]| {
            target.copy_from_slice(&freehold_tests::world::read(&inner));
            Ok(())
        });
        // The closure owns a handle: dropping the last of `outer` drops the source, and with it that handle.
        let outer = manager.acquire_shared_weights("outer", Allocation::new(units(1)).source(holds)).unwrap();
        assert_holds(&outer, 2);
        drop(outer);
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}

/// C8: an observer may use the manager from inside an event, evicting and allocating in its turn.
#[test]
fn an_observer_may_use_the_manager() {
    #[derive(Debug, Default)]
    struct Meddling(OnceLock<Weak<VramManager>>, AtomicU64);
    impl Observer for Meddling {
        fn event(&self, event: &Event) {
            let Some(manager) = self.0.get().and_then(Weak::upgrade) else { return };
            let Event::Evicted { .. } = event else { return };
            if self.1.fetch_add(1, SeqCst) < 20 {
                assert!(manager.lru_order().len() < 4 && manager.stats().evictions > 0);
                let _ = manager.evict_for_space(units(2));
                drop(manager.acquire_shared_weights("k", sourced(7, units(1))));
            }
        }
    }
    on_both_devices(|world| {
        let meddling = Arc::new(Meddling::default());
        let manager = Arc::new(world.builder(4).observer(meddling.clone()).build().unwrap());
        meddling.0.set(Arc::downgrade(&manager)).unwrap();
        let handles: Vec<VramHandle> = (0..8).map(|seed| load(&manager, seed, 1)).collect();
        for _ in 0..10 {
            handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
        }
        assert!(meddling.1.load(SeqCst) >= 20);
    });
}

/// C8: a source may use the manager as it is dropped, with the handle that needed it last.
#[test]
fn a_dying_source_may_use_the_manager() {
    struct Parting(Weak<VramManager>, Arc<AtomicU64>);
    impl Source for Parting {
        fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
            sink.write(&freehold_tests::world::content(1, units(1)))
        }
    }
    impl Drop for Parting {
        fn drop(&mut self) {
            let manager = self.0.upgrade().expect("it is in use");
            assert_holds(&manager.acquire_shared_weights("other", sourced(7, units(1))).unwrap(), 7);
            assert!(manager.evict_for_space(units(4)).is_ok());
            self.1.fetch_add(1, SeqCst);
        }
    }
    on_both_devices(|world| {
        let (manager, parted) = (Arc::new(world.manager(4)), Arc::new(AtomicU64::new(0)));
        let parting = || Parting(Arc::downgrade(&manager), parted.clone());
        let asked = |source| Allocation::new(units(1)).source(source);
        drop(manager.allocate(asked(parting())).unwrap());
        drop(manager.acquire_shared_weights("k", asked(parting())).unwrap());
        let kept = manager.acquire_shared_weights("k", asked(parting())).unwrap();
        drop(manager.acquire_shared_weights("k", asked(parting())).unwrap()); // not needed, and dropped at once
        assert!(manager.acquire_shared_weights("k", Allocation::new(units(2)).source(parting())).is_err());
        drop(kept);
        assert_eq!(parted.load(SeqCst), 5);
        assert_eq!(manager.audit().unwrap().handles, 0);
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

/// C8: an observer that panics is told of, and undoes nothing of what it looked at.
#[test]
fn an_observer_that_panics_changes_nothing() {
    #[derive(Debug)]
    struct Nervous;
    impl freehold_cuda::Observer for Nervous {
        fn event(&self, event: &freehold_cuda::Event) {
            std::panic::resume_unwind(Box::new(format!("{event:?}")));
        }
    }
    let manager =
        freehold_cuda::VramManager::builder().budget(units(4)).observer(std::sync::Arc::new(Nervous)).build().unwrap();
    let handles = [1, 2, 3].map(|seed| load(&manager, seed, 2));
    for (handle, seed) in handles.iter().zip(1..) {
        assert_holds(handle, seed);
    }
    drop(manager.reserve(units(4)).unwrap());
    drop(handles);
    assert_eq!(manager.audit().unwrap().resident, freehold_cuda::Bytes(0));
}
