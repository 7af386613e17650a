//! The word where threads meet it: the compare-exchange loops, and what they publish.
//!
//! | edge | writer | reader | what becomes visible | without it fails |
//! | --- | --- | --- | --- | --- |
//! | A1 | give-back (Release in `give`, in `publish`) | admission (Acquire in `take`, in `publish`, in `nobody_waits`) | what the last holder did with the bytes | `admission_release_races_enqueue`, `admission_equal_number_newer_holder` |
//! | A2 | `publish` (Release) | `settle` (Acquire) | the ledger's content | `admission_release_races_enqueue`, `admission_fifo_order` |
//!
//! Progress: lock-free. A compare-exchange fails only because another operation succeeded, and nobody waits for anybody. A
//! thread stopped inside [`Cell::update`] delays the freeing of replaced ledgers (`retired`), and the wake-ups it was about to
//! send.
#![allow(unsafe_code)] // Publishing a ledger by its address: C1 to C3 below are all that it rests on.

use alloc::vec::Vec;
use core::task::Waker;
use crossbeam_utils::CachePadded;

use super::ledger::Ledger;
use super::retired::{Inside, Published, Retired};
use super::word::{Plain, Word};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The pool's word. C1: an address in it is that of a live [`Published`] ledger. C2: only the compare-exchange that replaced
/// an address retires it, once. C3: a ledger is never changed after it was published.
pub(super) struct Cell {
    word: CachePadded<AtomicU64>,
    /// Who is inside, and what was replaced: another line than the word, which those who pass quickly do not touch.
    retired: CachePadded<Retired>,
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
        Cell { word: CachePadded::new(AtomicU64::new(word.0)), retired: CachePadded::new(Retired::new()) }
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
        let inside = self.retired.enter();
        let (answer, wake) = self.settle(step, &inside);
        drop(inside);
        // Wakers run the callers' code: not while we are inside.
        wake.into_iter().for_each(Waker::wake);
        answer
    }

    fn settle<T>(&self, mut step: impl FnMut(&Ledger) -> Step<T>, inside: &Inside<'_>) -> (T, Vec<Waker>) {
        // Bounded as in `change`.
        loop {
            // Acquire: A2, pairs with the Release half of the exchange below; the ledger's content is there.
            let seen = Word(self.word.load(Ordering::Acquire));
            let taken = match self.show(seen, &mut step, inside) {
                Step::Stay(answer) => return (answer, Vec::new()),
                Step::Go(answer, next, wake) => self.publish(seen, next, inside).then_some((answer, wake)),
            };
            if let Some(done) = taken {
                return done;
            }
        }
    }

    fn show<T>(&self, seen: Word, step: &mut impl FnMut(&Ledger) -> Step<T>, inside: &Inside<'_>) -> Step<T> {
        match seen.read() {
            Ok(plain) => step(&Ledger::without_queue(plain)),
            // SAFETY: C1. The word was loaded in `settle`, inside and with Acquire.
            Err(address) => step(unsafe { inside.ledger(address) }),
        }
    }

    fn publish(&self, seen: Word, next: Ledger, inside: &Inside<'_>) -> bool {
        let wanted = match next.as_plain() {
            Some(plain) => Word::plain(plain),
            None => Word::queued(Published::publish(next)),
        };
        // AcqRel: A1 and A2, both ways: returned bytes and the new ledger go out, those of others come in.
        // Relaxed on failure: the loop loads again.
        let won = self.word.compare_exchange(seen.0, wanted.0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
        match (won, wanted.read(), seen.read()) {
            // SAFETY: C1. The exchange failed, so nobody but us ever had this address.
            (false, Err(unpublished), _) => unsafe { Published::free(unpublished) },
            // SAFETY: C2. Our exchange replaced it.
            (true, _, Err(replaced)) => unsafe { inside.retire(replaced) },
            _ => {}
        }
        won
    }

    /// Who waits and what is free, as of one moment.
    pub(super) fn read<T>(&self, of: impl Fn(&Ledger) -> T) -> T {
        self.update(|ledger| Step::Stay(of(ledger)))
    }

    /// Whether nobody waits: for who waited, so that it was served.
    pub(super) fn nobody_waits(&self) -> bool {
        // Acquire: A1, pairs with the Release in `publish` of whoever served us, and of the bytes' last holder before it.
        Word(self.word.load(Ordering::Acquire)).read().is_ok()
    }

    /// What the word says, if it is plain. Relaxed: a number that is old as soon as it is read.
    pub(super) fn plain(&self) -> Option<Plain> {
        Word(self.word.load(Ordering::Relaxed)).read().ok()
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        // Relaxed: `&mut self`, nobody else is here. A forgotten future leaves its waiter behind.
        if let Err(address) = Word(self.word.load(Ordering::Relaxed)).read() {
            // SAFETY: C1. The word is never read again.
            unsafe { Published::free(address) };
        }
    }
}
