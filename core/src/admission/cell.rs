//! The word where threads meet it: the compare-exchange loop, and when a ledger that nobody can see any more is freed.
//!
//! | edge | writer | reader | what becomes visible | without it fails |
//! | --- | --- | --- | --- | --- |
//! | A1 | give-back (Release in `give`, in `publish`) | admission (Acquire in `take`, in `publish`) | what the last holder did with the bytes | `admission_release_races_enqueue`, `admission_equal_number_newer_holder` |
//! | A2 | `publish` (Release) | `settle` (Acquire) | the ledger's content | `admission_release_races_enqueue`, `admission_fifo_order` |
//! | A3 | replacement, then `retire` | `update` pins, then loads (SeqCst fences) | that the ledger was replaced | none: loom does not see the epochs |
//!
//! Progress: lock-free. A compare-exchange fails only because another operation succeeded, and nobody waits for anybody. A
//! thread stopped inside [`Cell::update`] delays the reclaiming of replaced ledgers, and the wake-ups it was about to send.
#![allow(unsafe_code)] // Publishing a ledger by its address: C1 to C3 below are all that it rests on.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::task::Waker;
use crossbeam_epoch::{Collector, Guard};
use crossbeam_utils::CachePadded;

use super::ledger::Ledger;
use super::word::{Plain, Word};
use crate::sync::atomic::{AtomicU64, Ordering, fence};

/// The pool's word. C1: an address in it is that of a live `Box<Ledger>` given up by [`Cell::publish`]. C2: only the
/// compare-exchange that replaced an address retires it, once. C3: a ledger is never changed after it was published.
pub(super) struct Cell {
    word: CachePadded<AtomicU64>,
    /// Each pool has its own epochs: who holds another pool's guard delays nothing here.
    collector: Collector,
}

/// What an operation makes of the ledger it is shown.
pub(super) enum Step<T> {
    /// Leave it: only the answer matters.
    Stay(T),
    /// Publish this ledger, then wake these.
    Go(T, Ledger, Vec<Waker>),
}

impl Cell {
    pub(super) fn new(free: i64) -> Cell {
        let word = Word::plain(Plain { free, closed: false });
        Cell { word: CachePadded::new(AtomicU64::new(word.0)), collector: Collector::new() }
    }

    /// The fast path out: one compare-exchange, and the bytes then free; `None` where only the general path can tell.
    #[inline]
    pub(super) fn take(&self, bytes: u64) -> Option<i64> {
        // Acquire: A1, pairs with the Release in `give` and in `publish`. All writes of the word are read-modify-writes, so
        // one that is only Acquire hides no earlier Release.
        self.change(|word| word.take(bytes), Ordering::Acquire)
    }

    /// The fast path back, likewise.
    #[inline]
    pub(super) fn give(&self, bytes: u64) -> Option<i64> {
        // Release: A1, pairs with the Acquire in `take` and in `publish`.
        self.change(|word| word.give(bytes), Ordering::Release)
    }

    #[inline]
    fn change(&self, next: impl Fn(Word) -> Option<Word>, success: Ordering) -> Option<i64> {
        // Relaxed, here and on failure: a plain word leads nowhere, and the exchange checks it.
        let mut seen = Word(self.word.load(Ordering::Relaxed));
        // Bounded by the operations of others: each failure is one of theirs that succeeded.
        loop {
            let wanted = next(seen)?;
            match self.word.compare_exchange_weak(seen.0, wanted.0, success, Ordering::Relaxed) {
                Ok(_) => return wanted.read().ok().map(|plain| plain.free),
                Err(now) => seen = Word(now),
            }
        }
    }

    /// The general path: shows the ledger (made up on the spot where the word is plain) to `step` until its answer stands.
    pub(super) fn update<T>(&self, step: impl FnMut(&Ledger) -> Step<T>) -> T {
        let local = self.collector.register();
        let guard = local.pin();
        // SeqCst: A3, pairs with the fence in `retire`. Epochs have fences of their own; this one lets loom see the edge.
        fence(Ordering::SeqCst);
        let (answer, wake) = self.settle(step, &guard);
        drop(guard);
        // Wakers run the callers' code: no guard is held over them.
        wake.into_iter().for_each(Waker::wake);
        answer
    }

    fn settle<T>(&self, mut step: impl FnMut(&Ledger) -> Step<T>, guard: &Guard) -> (T, Vec<Waker>) {
        // Bounded as in `change`.
        loop {
            // Acquire: A2, pairs with the Release half of the exchange below; the ledger's content is there.
            let seen = Word(self.word.load(Ordering::Acquire));
            let taken = match self.show(seen, &mut step, guard) {
                Step::Stay(answer) => return (answer, Vec::new()),
                Step::Go(answer, next, wake) => self.publish(seen, next, guard).then_some((answer, wake)),
            };
            if let Some(done) = taken {
                return done;
            }
        }
    }

    fn show<T>(&self, seen: Word, step: &mut impl FnMut(&Ledger) -> Step<T>, _pinned: &Guard) -> Step<T> {
        match seen.read() {
            Ok(plain) => step(&Ledger::without_queue(plain)),
            Err(address) => {
                // SAFETY: C1 and C2. The word was loaded under `_pinned`, so its ledger is freed after that guard is gone.
                let ledger = unsafe { &*ledger_at(address) };
                ledger.finished.check();
                step(ledger)
            }
        }
    }

    fn publish(&self, seen: Word, next: Ledger, guard: &Guard) -> bool {
        let wanted = match next.as_plain() {
            Some(plain) => Word::plain(plain),
            None => {
                next.finished.mark();
                Word::queued(Box::into_raw(Box::new(next)).expose_provenance() as u64)
            }
        };
        // AcqRel: A1 and A2, both ways: returned bytes and the new ledger go out, those of others come in.
        // Relaxed on failure: the loop loads again.
        let won = self.word.compare_exchange(seen.0, wanted.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        match (won, wanted.read(), seen.read()) {
            // SAFETY: C1. The exchange failed, so nobody but us ever had this address.
            (false, Err(unpublished), _) => drop(unsafe { reclaim(unpublished) }),
            (true, _, Err(replaced)) => retire(replaced, guard),
            _ => {}
        }
        won
    }

    /// Who waits and what is free, as of one moment.
    pub(super) fn read<T>(&self, of: impl Fn(&Ledger) -> T) -> T {
        self.update(|ledger| Step::Stay(of(ledger)))
    }

    /// What the word says, if it is plain. Relaxed: a number that is old as soon as it is read.
    pub(super) fn plain(&self) -> Option<Plain> {
        Word(self.word.load(Ordering::Relaxed)).read().ok()
    }
}

fn ledger_at(address: u64) -> *mut Ledger {
    core::ptr::with_exposed_provenance_mut(address as usize)
}

/// Takes a ledger back from its address.
///
/// # Safety
/// The address comes from `publish`, nobody else can reach it any more, and it is taken back once.
unsafe fn reclaim(address: u64) -> Box<Ledger> {
    // SAFETY: C1, and what the caller promises.
    unsafe { Box::from_raw(ledger_at(address)) }
}

fn retire(address: u64, guard: &Guard) {
    // SeqCst: A3, pairs with the fence in `update`: whoever pins after this ledger is due sees that it was replaced.
    fence(Ordering::SeqCst);
    // SAFETY: C2. We replaced the address, so only guards of today can still follow it, and this runs once they are gone.
    let free = move || drop(unsafe { reclaim(address) });
    // SAFETY: C3. A ledger owns all it has and is Send (asserted below), so any thread may free it, at any later time.
    unsafe { guard.defer_unchecked(free) };
    guard.flush();
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Relaxed: `&mut self`, nobody else is here. A forgotten future leaves its waiter behind.
        if let Err(address) = Word(self.word.load(Ordering::Relaxed)).read() {
            // SAFETY: C1. The word is never read again.
            drop(unsafe { reclaim(address) });
        }
    }
}

const _: () = {
    const fn shared_between_threads<T: Send + Sync + 'static>() {}
    shared_between_threads::<Ledger>();
};
