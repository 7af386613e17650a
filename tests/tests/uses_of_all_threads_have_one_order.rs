//! The clock that a manager has where none is given: what one thread used after another leaves after it, whichever
//! processors they ran on. And a clock is somebody else's code: where it panics in an access, no pin stays behind.
//! Behaviours B4, B5, C2. Not covered: machines whose processors' counters do not run together.

use freehold_cuda::{Clock, VramHandle, VramManager};
use freehold_tests::world::{load, units};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::*};
use std::thread;

const ENTRIES: usize = 64;
const THREADS: usize = 3;

/// Each thread uses every third entry, when it is told that the one before was used. Nothing orders their ticks but time.
fn use_in_turn(handles: &[VramHandle]) {
    let turn = AtomicUsize::new(0);
    thread::scope(|scope| {
        for thread in 0..THREADS {
            let turn = &turn;
            scope.spawn(move || {
                for at in (thread..handles.len()).step_by(THREADS) {
                    while turn.load(Acquire) != at {
                        thread::yield_now();
                    }
                    drop(handles[at].access().unwrap());
                    turn.store(at + 1, Release);
                }
            });
        }
    });
}

#[test]
fn by_the_processors_counter() {
    let manager = VramManager::builder().budget(units(ENTRIES as u64)).build().unwrap();
    let mut handles: Vec<VramHandle> = (0..ENTRIES as u64).map(|seed| load(&manager, seed, 1)).collect();
    for _ in 0..8 {
        handles.reverse(); // not the order of their ids
        use_in_turn(&handles);
        let order: Vec<u64> = manager.lru_order().iter().map(|candidate| candidate.id).collect();
        assert_eq!(order, handles.iter().map(VramHandle::id).collect::<Vec<_>>());
    }
}

/// A clock with a fuse.
#[derive(Debug, Default)]
struct Fused(AtomicBool);

impl Clock for Fused {
    fn tick(&self) -> u64 {
        if self.0.swap(false, Relaxed) {
            resume_unwind(Box::new("the clock panicked")); // a panic without its message on stderr
        }
        1
    }
}

#[test]
fn a_clock_that_panics_leaves_no_pin() {
    let clock = Arc::new(Fused::default());
    let manager = VramManager::builder().budget(units(1)).clock(clock.clone()).build().unwrap();
    let only = load(&manager, 1, 1);
    clock.0.store(true, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(only.access()))).is_err());
    drop(only.access().unwrap());
    assert_eq!(manager.evict_for_space(units(1)).unwrap().len(), 1, "nobody has it pinned");
    manager.audit().unwrap();
}
