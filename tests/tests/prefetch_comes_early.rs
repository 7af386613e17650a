//! C14: a prefetch returns at once, its content comes without an access, its failure surfaces at the access; a released
//! handle's does nothing; a close waits for nobody. The tests take turns, so that the threads can be counted.

use freehold_cuda::{
    Allocation, Bytes, Error, HostBytes, ModelSource, Prefetch, SourceError, VramHandle, VramManager, source,
};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// One test at a time.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
}

fn manager(budget: u64) -> VramManager {
    VramManager::builder().budget(Bytes(budget)).build().unwrap()
}

fn page(byte: u8) -> Allocation {
    Allocation::new(Bytes(512)).source(HostBytes([byte; 512].into()))
}

/// Waits for what another thread is about to do; what takes ten seconds does not happen.
fn eventually(what: &str, happened: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !happened() {
        assert!(Instant::now() < deadline, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A source that says when it is called, and then waits until it is let go.
fn held() -> (Allocation, Receiver<()>, Sender<()>) {
    let ((called, calls), (release, released)) = (channel(), channel());
    let ends = Mutex::new((called, released));
    let fill = move |target: &mut [u8]| {
        let ends = ends.lock().unwrap();
        ends.0.send(()).map_err(SourceError::new)?;
        let _ = ends.1.recv();
        target.fill(1);
        Ok(())
    };
    (Allocation::new(Bytes(512)).source(source::closure(fill)), calls, release)
}

#[test]
fn content_comes_without_an_access() {
    let _turn = turn();
    let manager = manager(1024);
    let layers: Vec<VramHandle> = (0..4).map(|byte| manager.register(page(byte)).unwrap()).collect();
    assert_eq!(manager.prefetch(&layers[0]).unwrap(), Prefetch::Queued);
    eventually("the prefetch", || layers[0].is_resident());
    assert_eq!(manager.prefetch(&layers[0]).unwrap(), Prefetch::Resident);
    assert_eq!(manager.stats().loads, 1);
    layers[2].prefetch().unwrap();
    layers[3].prefetch().unwrap();
    eventually("both", || layers[2].is_resident() && layers[3].is_resident());
    assert!(!layers[0].is_resident(), "room was made in order");
    for (byte, layer) in (0..).zip(&layers) {
        assert_eq!(layer.access().unwrap().as_host_slice(), Some(&[byte; 512][..]));
    }
    manager.audit().unwrap();
}

#[test]
fn it_returns_at_once_and_the_access_waits_for_the_same_call() {
    let _turn = turn();
    let manager = manager(4096);
    let (slow, calls, release) = held();
    let slow = manager.register(slow).unwrap();
    assert_eq!(slow.prefetch().unwrap(), Prefetch::Queued);
    calls.recv().unwrap(); // the source is at work, and we are here
    assert_eq!(slow.prefetch().unwrap(), Prefetch::Resident, "on its way");

    let (other, waiting) = (manager.register(page(7)).unwrap(), manager.register(page(8)).unwrap());
    assert_eq!((other.prefetch().unwrap(), other.prefetch().unwrap()), (Prefetch::Queued, Prefetch::Queued));
    assert_eq!(other.access().unwrap().as_host_slice(), Some(&[7; 512][..]), "an access waits for no queue (C9)");
    assert!(!waiting.is_resident() && !slow.is_resident());

    std::thread::scope(|scope| {
        let access = scope.spawn(|| slow.access().map(drop));
        release.send(()).unwrap();
        access.join().unwrap().unwrap();
    });
    assert!(calls.try_recv().is_err(), "called once (C4)");
    assert_eq!(manager.stats().loads, 2);
}

#[test]
fn a_failed_prefetch_surfaces_at_the_access() {
    let _turn = turn();
    let manager = manager(4096);
    let (calls, repaired) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let fill = {
        let (calls, repaired) = (Arc::clone(&calls), Arc::clone(&repaired));
        move |target: &mut [u8]| {
            calls.fetch_add(1, SeqCst);
            target.fill(5);
            if repaired.load(SeqCst) { Ok(()) } else { Err(SourceError::new("unplugged")) }
        }
    };
    let broken = manager.register(Allocation::new(Bytes(512)).source(source::closure(fill))).unwrap();
    broken.prefetch().unwrap();
    eventually("the call", || calls.load(SeqCst) == 1);
    let refused = broken.access().map(drop).unwrap_err();
    assert!(matches!(&refused, Error::SourceFailed { reason, .. } if reason.to_string() == "unplugged"), "{refused}");
    assert_eq!(manager.audit().unwrap().resident, Bytes(0));
    repaired.store(true, SeqCst);
    broken.prefetch().unwrap();
    eventually("the next prefetch", || broken.is_resident());
    assert_eq!(broken.access().unwrap().as_host_slice(), Some(&[5; 512][..]));
}

#[test]
fn a_prefetch_that_finds_no_room_changes_nothing() {
    let _turn = turn();
    let manager = manager(512);
    let (pinned, absent) = (manager.allocate(page(1)).unwrap(), manager.register(page(2)).unwrap());
    let guard = pinned.access().unwrap();
    absent.prefetch().unwrap();
    eventually("the refusal", || manager.stats().refusals == 1);
    assert!(matches!(absent.access().map(drop), Err(Error::OutOfMemory { .. })));
    assert_eq!(guard.as_host_slice(), Some(&[1; 512][..]));
    drop(guard);
    assert!(absent.access().is_ok());
}

#[test]
fn a_released_handle_is_not_brought_and_its_source_goes_at_once() {
    let _turn = turn();
    let manager = manager(4096);
    let (slow, calls, release) = held();
    let slow = manager.register(slow).unwrap();
    slow.prefetch().unwrap();
    calls.recv().unwrap();

    let witness = Arc::new(AtomicUsize::new(0));
    let fill = {
        let witness = Arc::clone(&witness);
        move |_: &mut [u8]| {
            witness.fetch_add(1, SeqCst);
            Ok(())
        }
    };
    let dropped = manager.register(Allocation::new(Bytes(512)).source(source::closure(fill))).unwrap();
    let kept = manager.register(page(3)).unwrap();
    assert_eq!(dropped.prefetch().unwrap(), Prefetch::Queued);
    drop(dropped);
    assert_eq!(Arc::strong_count(&witness), 1, "the queue keeps no source alive (C13)");
    let released = manager.register(page(4)).unwrap();
    released.prefetch().unwrap();
    released.release();
    assert!(matches!(manager.prefetch(&released), Err(Error::Released { .. })));
    kept.prefetch().unwrap();
    release.send(()).unwrap();
    eventually("the last in the queue", || kept.is_resident());
    assert_eq!((witness.load(SeqCst), manager.stats().loads), (0, 2));
    assert_eq!(manager.audit().unwrap().resident, Bytes(1024));
}

#[test]
fn a_full_queue_skips_and_says_so() {
    let _turn = turn();
    let manager = manager(4096);
    let (slow, calls, release) = held();
    let slow = manager.register(slow).unwrap();
    slow.prefetch().unwrap();
    calls.recv().unwrap();
    let names = (0..1100).map(|number| number.to_string());
    let source = names.fold(ModelSource::new(), |source, name| source.tensor(name, page(1)));
    let model = manager.register_model(&source, 0, "wide").unwrap();
    let queued = model.prefetch().unwrap();
    assert!(queued < model.len() && queued >= 512, "{queued}");
    let last = model.get("1099").unwrap();
    assert_eq!(last.prefetch().unwrap(), Prefetch::Skipped);
    release.send(()).unwrap();
    assert_eq!(last.access().unwrap().as_host_slice(), Some(&[1; 512][..]), "what was skipped comes with its access");
}

#[test]
fn close_waits_for_no_source_and_ends_the_thread() {
    let _turn = turn();
    eventually("the end of the other tests' threads", || threads() == 0);
    let manager = manager(4096);
    assert_eq!(threads(), 0, "none before the first prefetch");
    let (slow, calls, release) = held();
    let (slow, queued) = (manager.register(slow).unwrap(), manager.register(page(1)).unwrap());
    slow.prefetch().unwrap();
    queued.prefetch().unwrap();
    calls.recv().unwrap();
    assert_eq!(threads(), 1);
    assert_eq!(manager.close().live.len(), 2);
    assert!(slow.prefetch().is_err() && queued.prefetch().is_err());
    drop((manager, queued));
    release.send(()).unwrap();
    eventually("the end of the thread", || threads() == 0);
    assert!(slow.access().is_err());
}

#[test]
fn the_last_handle_may_go_while_its_source_is_called() {
    let _turn = turn();
    let manager = manager(4096);
    let (slow, calls, release) = held();
    let slow = manager.register(slow).unwrap();
    slow.prefetch().unwrap();
    calls.recv().unwrap();
    drop(slow);
    release.send(()).unwrap();
    eventually("the end of the source", || calls.recv().is_err());
    eventually("the return of its memory", || manager.audit().is_ok_and(|books| books.handles == 0));
    assert_eq!(manager.audit().unwrap().resident, Bytes(0));
}

#[test]
fn prefetches_race_accesses_evictions_releases_and_a_close() {
    let _turn = turn();
    for round in 0..10 {
        let manager = VramManager::builder().budget(Bytes(8 * 512)).spill_budget(Bytes(6 * 512)).build().unwrap();
        std::thread::scope(|scope| {
            for thread in 0..3_u8 {
                let manager = &manager;
                scope.spawn(move || {
                    for step in 0..60_u8 {
                        let layers: Vec<_> = (0..6).filter_map(|n| manager.register(page(n + step)).ok()).collect();
                        let mut scratch = manager.allocate(Allocation::new(Bytes(512))).ok();
                        if let Some(Ok(mut access)) = scratch.as_mut().map(VramHandle::access_mut) {
                            access.write(0, &[thread; 512]).unwrap();
                        }
                        for layer in layers.iter().chain(&scratch) {
                            let _ = layer.prefetch();
                        }
                        for (n, layer) in (0..).zip(&layers).take(4) {
                            let Ok(access) = layer.access() else { continue };
                            assert_eq!(access.as_host_slice(), Some(&[n + step; 512][..]));
                        }
                    }
                });
            }
            if round % 2 == 1 {
                std::thread::sleep(Duration::from_millis(2));
                manager.close();
            }
        });
        let settled = || manager.audit().is_ok_and(|books| (books.handles, books.spilled) == (0, Bytes(0)));
        eventually("the end of the last prefetch", settled);
    }
}

/// The prefetch threads of this process.
fn threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").map(Iterator::flatten).into_iter().flatten();
    let names = tasks.filter_map(|task| std::fs::read_to_string(task.path().join("comm")).ok());
    names.filter(|name| name.starts_with("freehold-prefet")).count()
}
