//! C13: a source lives as long as a handle needs it and no longer, and is called for nothing after that: not after a release or a
//! close, nor once it has failed. Pinned bytes end with their last owner, and so does their registration.

use freehold_cuda::source::writer;
use freehold_cuda::{Allocation, Bytes, Error, PinnedBytes, Sink, Source, SourceError, VramManager};
use freehold_tests::files::pattern;
use freehold_tests::world::read;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

fn manager(budget: u64) -> VramManager {
    VramManager::builder().budget(Bytes(budget)).build().unwrap()
}

#[test]
fn pinned_bytes_are_a_source_and_outlive_their_registration() {
    struct Registration(Arc<AtomicUsize>);
    impl Drop for Registration {
        fn drop(&mut self) {
            self.0.fetch_add(1, SeqCst);
        }
    }
    let ended = Arc::new(AtomicUsize::new(0));
    let pinned = Arc::new(PinnedBytes::copy_of(&pattern(5, 5000)).unwrap());
    assert_eq!(pinned.as_slice().as_ptr() as usize % 4096, 0, "whole pages");
    assert_eq!(pinned.keep_registered(|_| Err::<(), _>("no driver")), Err("no driver"));
    for _ in 0..2 {
        let registered: Result<(), ()> = pinned.keep_registered(|bytes| {
            assert_eq!(bytes.len(), 5000);
            Ok(Registration(Arc::clone(&ended)))
        });
        assert!(registered.is_ok() && pinned.is_registered());
    }
    let manager = manager(64 << 10);
    let handle = manager.allocate(Allocation::new(pinned.bytes()).source(Arc::clone(&pinned))).unwrap();
    drop(pinned);
    assert_eq!(read(&handle), pattern(5, 5000));
    assert_eq!(ended.load(SeqCst), 0);
    drop(handle);
    assert_eq!(ended.load(SeqCst), 1, "with the last owner, once");
}

/// A source that counts its calls and its end.
struct Counted {
    calls: Arc<AtomicUsize>,
    ends: Arc<AtomicUsize>,
}

impl Source for Counted {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        self.calls.fetch_add(1, SeqCst);
        sink.write(&[1; 512])
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.ends.fetch_add(1, SeqCst);
    }
}

fn counted() -> (Allocation, impl Fn() -> (usize, usize)) {
    let (calls, ends) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let source = Counted { calls: Arc::clone(&calls), ends: Arc::clone(&ends) };
    (Allocation::new(Bytes(512)).source(source), move || (calls.load(SeqCst), ends.load(SeqCst)))
}

#[test]
fn a_source_ends_with_the_last_handle_and_is_never_called_after() {
    let manager = manager(512);
    let (allocation, calls_and_ends) = counted();
    let first = manager.acquire_shared_weights("key", allocation).unwrap();
    let (unused, unused_calls_and_ends) = counted();
    let second = manager.acquire_shared_weights("key", unused).unwrap();
    assert_eq!(unused_calls_and_ends(), (0, 1), "the weights had a source already");

    manager.evict_for_space(Bytes(512)).unwrap();
    drop(first);
    assert_eq!(calls_and_ends(), (1, 0), "the other handle still needs it");
    assert_eq!(read(&second), [1; 512]);
    assert_eq!(calls_and_ends(), (2, 0));
    manager.evict_for_space(Bytes(512)).unwrap();
    drop(second);
    assert_eq!(calls_and_ends(), (2, 1), "absent or not, it went with the last handle");
    manager.evict_for_space(Bytes(512)).unwrap();
    assert_eq!(calls_and_ends(), (2, 1));
}

#[test]
fn a_source_is_not_called_after_release_or_close() {
    let manager = manager(512);
    let (allocation, calls_and_ends) = counted();
    let released = manager.register(allocation).unwrap();
    released.release();
    assert!(matches!(released.access().map(drop), Err(Error::Released { .. })));
    assert_eq!(calls_and_ends().0, 0);
    drop(released);
    assert_eq!(calls_and_ends(), (0, 1));

    let (allocation, calls_and_ends) = counted();
    let outliving = manager.register(allocation).unwrap();
    manager.close();
    assert!(outliving.access().is_err());
    drop(manager);
    assert_eq!(calls_and_ends(), (0, 0));
    drop(outliving);
    assert_eq!(calls_and_ends(), (0, 1));
}

#[test]
fn a_source_that_fails_ends_with_what_it_was_asked_for() {
    let ends = Arc::new(AtomicUsize::new(0));
    let (allocation, calls_and_ends) = counted();
    let failing = writer({
        let ends = Arc::clone(&ends);
        move |_| {
            ends.fetch_add(1, SeqCst);
            Err(SourceError::new("out of order"))
        }
    });
    let manager = manager(1024);
    assert!(manager.allocate(Allocation::new(Bytes(512)).source(failing)).is_err());
    assert!(manager.allocate(allocation.within(&manager.reserve(Bytes(512)).unwrap())).is_ok());
    assert_eq!((ends.load(SeqCst), calls_and_ends()), (1, (1, 1)));
    assert_eq!(manager.audit().unwrap().handles, 0);
}
