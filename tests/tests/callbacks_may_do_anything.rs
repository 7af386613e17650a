//! Sources and observers are called with nothing held that they could meet: they may use the manager, drop handles, and an
//! observer may panic. Behaviour C8. Not here: sources that fail (`a_bad_source_changes_nothing`).

use freehold_cuda::{Allocation, Bytes, Event, Observer, Sink, Source, SourceError, VramHandle, VramManager, source};
use freehold_tests::world::{assert_holds, content, load, on_both_devices, read, sourced, units};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, OnceLock, Weak};

/// C8: a source may read another managed handle, and allocate, while its own entry is brought.
#[test]
fn a_source_may_use_the_manager() {
    struct Nested(Arc<VramHandle>, Weak<VramManager>);
    impl Source for Nested {
        fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
            let manager = self.1.upgrade().expect("it is in use");
            let _scratch = manager.allocate(Allocation::new(units(1)))?;
            manager.evict_for_space(units(1))?;
            sink.write(&read(&self.0))
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
            target.copy_from_slice(&read(&inner));
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
            sink.write(&content(1, units(1)))
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

/// C8: an observer that panics is told of, and undoes nothing of what it looked at.
#[test]
fn an_observer_that_panics_changes_nothing() {
    #[derive(Debug)]
    struct Nervous;
    impl Observer for Nervous {
        fn event(&self, event: &Event) {
            std::panic::resume_unwind(Box::new(format!("{event:?}")));
        }
    }
    let manager = VramManager::builder().budget(units(4)).observer(Arc::new(Nervous)).build().unwrap();
    let handles = [1, 2, 3].map(|seed| load(&manager, seed, 2));
    for (handle, seed) in handles.iter().zip(1..) {
        assert_holds(handle, seed);
    }
    drop(manager.reserve(units(4)).unwrap());
    drop(handles);
    assert_eq!(manager.audit().unwrap().resident, Bytes(0));
}
