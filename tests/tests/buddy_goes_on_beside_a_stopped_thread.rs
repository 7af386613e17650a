//! A thread stopped for good at any step inside allocate, free or take stops no other thread: the others go on to get
//! everything that is free elsewhere, are told "in flight" where it may be more, and wait for nobody.
//!
//! The buddy's shipped sources are compiled here once more, over atomics that count their operations and park the thread
//! at the n-th. Every n is tried until the operation gets through (every seventh where there are a thousand). The parked threads stay parked until the process ends.
//! Not covered: two stopped threads at once.
#![allow(dead_code, unused_imports, unreachable_pub)]

extern crate alloc;

#[path = "../../core/src/buddy/mod.rs"]
mod buddy;
#[path = "../../core/src/units.rs"]
mod units;

/// The stand-in for the core's `sync`: each operation on a shared word is a step at which a thread can be stopped.
mod sync {
    use std::cell::Cell;

    thread_local! {
        /// Steps until this thread stops for good.
        pub static STEPS_LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
    }

    fn step() {
        let left = STEPS_LEFT.get();
        if left == 0 {
            super::stop_for_good();
        }
        STEPS_LEFT.set(left - 1);
    }

    pub(crate) mod atomic {
        use super::step;
        pub(crate) use std::sync::atomic::Ordering;

        #[derive(Debug)]
        pub(crate) struct AtomicU64(std::sync::atomic::AtomicU64);

        impl AtomicU64 {
            pub(crate) const fn new(value: u64) -> AtomicU64 {
                AtomicU64(std::sync::atomic::AtomicU64::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> u64 {
                step();
                self.0.load(order)
            }

            pub(crate) fn store(&self, value: u64, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn compare_exchange(&self, old: u64, new: u64, yes: Ordering, no: Ordering) -> Result<u64, u64> {
                step();
                self.0.compare_exchange(old, new, yes, no)
            }

            pub(crate) fn compare_exchange_weak(
                &self,
                old: u64,
                new: u64,
                yes: Ordering,
                no: Ordering,
            ) -> Result<u64, u64> {
                self.compare_exchange(old, new, yes, no)
            }

            pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
                step();
                self.0.fetch_add(value, order)
            }

            pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
                step();
                self.0.fetch_or(value, order)
            }

            pub(crate) fn fetch_and(&self, value: u64, order: Ordering) -> u64 {
                step();
                self.0.fetch_and(value, order)
            }
        }
    }

    pub(crate) fn zeroed_words(count: usize) -> Box<[atomic::AtomicU64]> {
        (0..count).map(|_| atomic::AtomicU64::new(0)).collect()
    }

    pub(crate) fn sequentially_consistent() {}

    pub(crate) mod hint {
        pub(crate) use super::atomic::AtomicU64;
        use std::sync::atomic::Ordering::Relaxed;

        pub(crate) fn get(word: &AtomicU64) -> u64 {
            word.load(Relaxed)
        }

        pub(crate) fn set(word: &AtomicU64, value: u64) {
            word.store(value, Relaxed);
        }

        pub(crate) fn words(count: usize) -> Box<[AtomicU64]> {
            super::zeroed_words(count)
        }
    }
}

use std::sync::{Arc, mpsc};

use buddy::{AllocateError, Block, Buddy, Geometry, Request};
use units::{Bytes, Offset};

thread_local! {
    /// Where a stopping thread says so.
    static STOPPED: std::cell::RefCell<Option<mpsc::Sender<bool>>> = const { std::cell::RefCell::new(None) };
}

fn stop_for_good() {
    STOPPED.with_borrow(|sender| sender.as_ref().map(|sender| sender.send(true)));
    loop {
        std::thread::park();
    }
}

/// 64 units of 64 granules at the top, and a tail.
const GRANULES: u64 = 64 * 64 + 7;
/// What a stopped thread may keep from the others beside its own request, rounded up to units: a top-level unit at either end.
const HIDDEN: u64 = 2 * 64;

/// Stops a thread at every step of `operation` in turn, and lets this thread go on each time.
fn stop_at_every_step(
    stride: usize,
    request: u64,
    prepare: fn(&Buddy) -> Vec<Block>,
    operation: fn(&Buddy, Vec<Block>),
) {
    for step in (0..).step_by(stride) {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(GRANULES), Bytes(1)).unwrap(), 2));
        let blocks = prepare(&buddy);
        let kept = blocks.iter().map(|block| block.bytes().get()).sum::<u64>();
        let (sender, stopped) = mpsc::channel();
        let theirs = Arc::clone(&buddy);
        std::thread::spawn(move || {
            STOPPED.set(Some(sender.clone()));
            sync::STEPS_LEFT.set(step);
            operation(&theirs, blocks);
            sync::STEPS_LEFT.set(u64::MAX);
            sender.send(false).unwrap();
        });
        let was_stopped = stopped.recv().unwrap();
        go_on(&buddy, kept + request);
        if !was_stopped {
            assert!(step > 5, "an operation of {step} steps: the hook is not in place");
            return;
        }
    }
}

/// All that is free elsewhere can be had, granule by granule, given back, and had again.
fn go_on(buddy: &Buddy, theirs: u64) {
    for _ in 0..2 {
        let mut mine = Vec::new();
        let refusal = loop {
            match buddy.allocate(1, Request::new(Bytes(1))) {
                Ok(block) => mine.push(block),
                Err(refusal) => break refusal,
            }
        };
        assert!(matches!(refusal, AllocateError::Full { .. }));
        let least = GRANULES - theirs - HIDDEN;
        assert!(mine.len() as u64 >= least, "{} granules of at least {least}", mine.len());
        mine.into_iter().for_each(|block| buddy.free(1, block));
    }
}

fn nothing(_: &Buddy) -> Vec<Block> {
    Vec::new()
}

fn taken(buddy: &Buddy, ranges: &[(u64, u64)]) -> Vec<Block> {
    ranges.iter().map(|&(start, count)| buddy.take(1, Offset(start), Bytes(count)).unwrap()).collect()
}

#[test]
fn stopped_while_splitting_a_unit() {
    stop_at_every_step(1, 3, nothing, |buddy, _| {
        let _block = buddy.slot(0).unwrap().allocate(Request::new(Bytes(3)));
    });
}

#[test]
fn stopped_while_claiming_over_words() {
    stop_at_every_step(
        1,
        300,
        |buddy| taken(buddy, &[(0, 30)]),
        |buddy, _| {
            let _block = buddy.slot(0).unwrap().allocate(Request::new(Bytes(300)));
        },
    );
}

#[test]
fn stopped_while_taking_a_range() {
    stop_at_every_step(1, 500, nothing, |buddy, _| {
        let _block = buddy.slot(0).unwrap().take(Offset(100), Bytes(500));
    });
}

#[test]
fn stopped_while_freeing_and_joining() {
    stop_at_every_step(
        1,
        1,
        |buddy| taken(buddy, &[(0, 10), (10, 200), (210, 46)]),
        |buddy, blocks| {
            let mut slot = buddy.slot(0).unwrap();
            blocks.into_iter().for_each(|block| slot.free(block));
            // The ring is settled here: groups are closed and holes joined.
            let _block = slot.allocate(Request::new(Bytes(1)));
        },
    );
}

#[test]
fn stopped_while_the_latest_run_comes_and_goes() {
    // Its group has no other token, so each time it is put the mark above is looked at.
    stop_at_every_step(
        1,
        0,
        |buddy| taken(buddy, &[(128, 24), (152, 40)]),
        |buddy, mut blocks| {
            let mut slot = buddy.slot(0).unwrap();
            for _ in 0..2 {
                slot.free(blocks.remove(0));
                blocks.insert(0, slot.allocate(Request::new(Bytes(24))).unwrap());
            }
            slot.free(blocks.remove(0));
        },
    );
}

#[test]
fn stopped_while_refused() {
    // 40 of every 64 granules are free, so 41 are refused after a search of the whole arena.
    let prepare = |buddy: &Buddy| (0..64).flat_map(|unit| taken(buddy, &[(unit * 64 + 40, 24)])).collect();
    stop_at_every_step(7, 0, prepare, |buddy, _| {
        let refused = buddy.slot(0).unwrap().allocate(Request::new(Bytes(41)));
        assert!(matches!(refused, Err(AllocateError::Full { .. })));
    });
}

#[test]
fn stopped_at_the_shared_slot() {
    stop_at_every_step(1, 70, nothing, |buddy, _| {
        let (_one, _two) = (buddy.slot(0), buddy.slot(1));
        let block = buddy.allocate(0, Request::new(Bytes(70)));
        buddy.free(0, block.unwrap());
    });
}
