//! The contended state as an immutable value: free bytes and the queue, with every decision a pure function.
//!
//! A ledger is never changed once it is published: an operation makes the next one and swaps it in, so "debit the bytes"
//! and "the waiter has them" are one step, and a thread stopped anywhere holds nobody up.
//!
//! **Served.** No published ledger of an open pool has a waiter whom the policy would admit. Whatever frees bytes,
//! removes a waiter or changes the total therefore ends in [`Ledger::serve`].

use alloc::vec::Vec;
use core::task::Waker;

use super::fairness::{Fairness, Place};
use super::queue::Queue;
use super::word::Plain;

/// One who waits.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) bytes: u64,
    pub(super) waker: Waker,
}

/// Free bytes, whether the pool is closed, and who waits.
#[derive(Clone, Debug)]
pub(super) struct Ledger {
    pub(super) free: i64,
    pub(super) closed: bool,
    pub(super) waiting_bytes: u64,
    queue: Queue,
}

/// What the pool's total and policy are while a decision is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) total: u64,
    pub(super) fairness: Fairness,
}

/// The ledger that follows, and whom to wake once it is published.
pub(super) type Next = (Ledger, Vec<Waker>);

impl Ledger {
    pub(super) fn without_queue(plain: Plain) -> Ledger {
        Ledger { free: plain.free, closed: plain.closed, waiting_bytes: 0, queue: Queue::Nobody }
    }

    /// What a plain word can say of this ledger: everything, once nobody waits.
    pub(super) fn as_plain(&self) -> Option<Plain> {
        self.queue.is_empty().then_some(Plain { free: self.free, closed: self.closed })
    }

    pub(super) fn waiting(&self) -> u64 {
        self.queue.len() as u64
    }

    pub(super) fn waiter(&self, place: Place) -> Option<&Waiter> {
        self.queue.get(place)
    }

    /// Whether a newcomer at `place` goes now: its bytes are free, and nobody who can still be served stands before it.
    pub(super) fn admits(&self, place: Place, bytes: u64, rules: Rules) -> bool {
        let fits = self.free >= bytes as i64;
        fits && !self.closed && (rules.fairness.may_overtake() || self.nobody_before(place, rules.total))
    }

    fn nobody_before(&self, place: Place, total: u64) -> bool {
        // Bounded by the waiters that a lowered total left without hope, which are on their way out.
        self.queue.iter().take_while(|(before, _)| **before < place).all(|(_, waiter)| waiter.bytes > total)
    }

    pub(super) fn debit(&self, bytes: u64) -> Ledger {
        Ledger { free: self.free - bytes as i64, queue: self.queue.clone(), ..*self }
    }

    /// Bytes return and those who now fit go.
    pub(super) fn credit(&self, bytes: u64, rules: Rules) -> Next {
        Ledger { free: self.free + bytes as i64, queue: self.queue.clone(), ..*self }.serve(rules)
    }

    /// The newcomer queues, or a waiter comes with another waker. Nobody else can go because of that.
    pub(super) fn with_waiter(&self, place: Place, waiter: Waiter) -> Ledger {
        let known = self.queue.get(place).map_or(0, |known| known.bytes);
        Ledger {
            waiting_bytes: self.waiting_bytes - known + waiter.bytes,
            queue: self.queue.with(place, waiter),
            ..*self
        }
    }

    /// A waiter goes away unserved, which may make it the turn of those behind.
    pub(super) fn without_waiter(&self, place: Place, rules: Rules) -> Option<Next> {
        let bytes = self.queue.get(place)?.bytes;
        Some(self.removed(place, bytes).serve(rules))
    }

    /// The total changed by `delta`: whoever fits now goes, and whoever can never fit any more is told.
    pub(super) fn with_total(&self, delta: i64, rules: Rules) -> Next {
        let (next, mut wake) = Ledger { free: self.free + delta, ..self.clone() }.serve(rules);
        wake.extend(
            next.queue.iter().filter(|(_, waiter)| waiter.bytes > rules.total).map(|(_, waiter)| waiter.waker.clone()),
        );
        (next, wake)
    }

    /// Nobody is admitted from here on, and all who wait are told.
    pub(super) fn closed(&self) -> Next {
        let wake = self.queue.iter().map(|(_, waiter)| waiter.waker.clone()).collect();
        (Ledger { closed: true, ..self.clone() }, wake)
    }

    /// Admits in order while the bytes last. Bounded by the queue's length; under `Fifo` and `Priority` it ends at the
    /// first who must wait.
    fn serve(mut self, rules: Rules) -> Next {
        let mut wake = Vec::new();
        if self.closed {
            return (self, wake);
        }
        let queue = self.queue.clone();
        for (place, waiter) in queue.iter().filter(|(_, waiter)| waiter.bytes <= rules.total) {
            if self.free >= waiter.bytes as i64 {
                self = self.removed(*place, waiter.bytes);
                self.free -= waiter.bytes as i64;
                wake.push(waiter.waker.clone());
            } else if !rules.fairness.may_overtake() || self.free <= 0 {
                break;
            }
        }
        (self, wake)
    }

    /// The wakers go, the rest stays: where a model keeps the memory of what was freed.
    #[cfg(freehold_loom)]
    pub(super) fn forget_waiters(&mut self) {
        self.queue = Queue::Nobody;
    }

    fn removed(&self, place: Place, bytes: u64) -> Ledger {
        Ledger { waiting_bytes: self.waiting_bytes - bytes, queue: self.queue.without(place), ..*self }
    }
}
