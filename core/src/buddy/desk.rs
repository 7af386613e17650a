//! The desk behind a slot: what one thread at a time writes beside the tree, each on a cache line of its own.
//!
//! A slot has an owner while a [`Slot`](super::Slot) lives, and the owner writes with plain loads and stores. The last
//! slot has no owner: whoever finds none free shares it, its counts by read-modify-writes, its ring, which is a hint, without.
//! Nobody ever waits for a slot.
//!
//! The [`sequence`](super::sequence) tells a search that found nothing whether something may have been hidden from it:
//!
//! | operation | writes there |
//! | --- | --- |
//! | claim in one piece, nothing sticks out | nothing: it hides only what it returns |
//! | any other claim, a close, another group's first token, the clearing of a mark | `enter` before its first compare-exchange, dropped after its last |
//! | free | `freed` or `freed_latest` after its last compare-exchange |
//! | the [latest](super::latest) run, taken again or put back | `set` after its compare-exchange: one plain store is all its books; `set_entered` before it, where it is its group's first token |

use crossbeam_utils::CachePadded;

use super::ring::Ring;
use super::sequence::{ENTER, FREED, LEAVE, Sequence};
use crate::sync::atomic::{AtomicU64, Ordering};

/// One slot: its owner, what the verdict and the books ask of it, and its ring. The latest run itself is in its owner's hands.
#[derive(Debug)]
pub(super) struct SlotState {
    hot: CachePadded<Hot>,
}

#[derive(Debug)]
struct Hot {
    /// Has an owner at a time, or is everybody's for ever.
    exclusive: bool,
    /// 1 while a `Slot` lives.
    owned: AtomicU64,
    /// Sections and changes.
    sequence: AtomicU64,
    /// Granules freed less granules allocated through this slot, wrapping; without the latest run, while that is here.
    balance: AtomicU64,
    /// Granules of the latest run: free beside the balance while it is here.
    latest: AtomicU64,
    /// What was freed here last.
    ring: Ring,
}

/// A slot as one operation sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Desk<'a> {
    state: &'a SlotState,
}

impl SlotState {
    pub(super) fn new(exclusive: bool) -> SlotState {
        let [owned, sequence, balance, latest] = [0, 0, 0, 0].map(AtomicU64::new);
        SlotState { hot: CachePadded::new(Hot { exclusive, owned, sequence, balance, latest, ring: Ring::new() }) }
    }

    /// Becomes its owner, unless it has one.
    pub(super) fn acquire(&self) -> Option<Desk<'_>> {
        let owned = &self.hot.owned;
        // Relaxed: a look that saves the write. Acquire E4: pairs with `release`; we go on from the last owner's counts.
        let mine = owned.load(Ordering::Relaxed) == 0
            && owned.compare_exchange(0, 1, Ordering::Acquire, Ordering::Relaxed).is_ok();
        mine.then_some(Desk { state: self })
    }

    /// Granules freed less granules allocated, wrapping.
    pub(super) fn balance(&self) -> u64 {
        // Relaxed: a count among others, exact when nothing runs.
        let (balance, latest) = (self.hot.balance.load(Ordering::Relaxed), self.hot.latest.load(Ordering::Relaxed));
        if self.sequence().is_here() { balance.wrapping_add(latest) } else { balance }
    }

    /// Changes so far, and sections open now.
    pub(super) fn sequence(&self) -> Sequence {
        // Acquire E2: pairs with the section's drop, `freed` and `set`: who sees a change sees the tokens that it put.
        Sequence(self.hot.sequence.load(Ordering::Acquire))
    }
}

impl<'a> Desk<'a> {
    /// A slot that anybody may use.
    pub(super) fn of(state: &'a SlotState) -> Desk<'a> {
        Desk { state }
    }

    /// Whether this is the slot, and nobody else writes there.
    pub(super) fn is_own(self, state: &SlotState) -> bool {
        self.is_exclusive() && core::ptr::eq(self.state, state)
    }

    /// Gives an owned slot back.
    pub(super) fn release(self) {
        if self.is_exclusive() {
            // Release E4: pairs with `acquire`.
            self.state.hot.owned.store(0, Ordering::Release);
        }
    }

    #[inline]
    pub(super) fn is_exclusive(self) -> bool {
        self.state.hot.exclusive
    }

    /// What was freed here last.
    #[inline]
    pub(super) fn ring(self) -> &'a Ring {
        &self.state.hot.ring
    }

    /// A section, not yet open.
    #[inline]
    pub(super) fn section(self) -> Section<'a> {
        Section { desk: self, open: false }
    }

    /// A free has put its last token.
    #[inline]
    pub(super) fn freed(self, granules: u64) {
        self.add(&self.state.hot.balance, granules, Ordering::Relaxed);
        // Release E2: pairs with the acquire in `sequence`; who sees the count sees the tokens.
        self.add(&self.state.hot.sequence, FREED, Ordering::Release);
    }

    /// The slot's sequence, for its owner.
    #[inline]
    pub(super) fn sequence(self) -> Sequence {
        // Relaxed: only the owner writes, and this is the owner.
        Sequence(self.state.hot.sequence.load(Ordering::Relaxed))
    }

    /// The latest run was taken again, or has been put back. For the owner.
    #[inline]
    pub(super) fn set(self, sequence: Sequence) {
        // Release E2: as in `freed`, also where the latest run was taken: who sees this count sees the tokens of the frees before.
        self.state.hot.sequence.store(sequence.0, Ordering::Release);
    }

    /// Opens a section that [`set`](Desk::set) leaves, whether or not something came of it. For the owner.
    #[inline]
    pub(super) fn set_entered(self, sequence: Sequence) {
        // Relaxed: the compare-exchange that follows releases it (E2).
        self.state.hot.sequence.store(sequence.entered().0, Ordering::Relaxed);
    }

    /// A free has put its last token, and its run is the latest from now on. For the owner.
    #[inline]
    pub(super) fn freed_latest(self, sequence: Sequence, granules: u64) {
        if sequence.is_here() {
            self.add_latest();
        }
        // Relaxed: a count among others, exact when nothing runs.
        self.state.hot.latest.store(granules, Ordering::Relaxed);
        self.set(sequence.freed_latest());
    }

    /// The latest run is the latest no more. For the owner.
    #[inline]
    pub(super) fn forget_latest(self) {
        if let Some(sequence) = self.sequence().taken() {
            self.add_latest();
            self.set(sequence);
        }
    }

    #[inline]
    fn add_latest(self) {
        // Relaxed: as in `freed_latest`.
        self.add(&self.state.hot.balance, self.state.hot.latest.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// A claim is complete.
    #[inline]
    pub(super) fn allocated(self, granules: u64) {
        // Relaxed: a count among others, exact when nothing runs.
        self.add(&self.state.hot.balance, granules.wrapping_neg(), Ordering::Relaxed);
    }

    #[inline]
    fn add(self, word: &AtomicU64, amount: u64, order: Ordering) {
        if self.is_exclusive() {
            // Relaxed: only the owner writes, and this is the owner.
            word.store(word.load(Ordering::Relaxed).wrapping_add(amount), order);
        } else {
            word.fetch_add(amount, order);
        }
    }
}

/// The stretch in which an operation may hide more free space than it returns. Opened at need, left when dropped.
#[derive(Debug)]
pub(super) struct Section<'a> {
    desk: Desk<'a>,
    open: bool,
}

impl Section<'_> {
    /// Opens it before the compare-exchange that hides something, which also publishes that it is open.
    pub(super) fn enter(&mut self) {
        if !self.open {
            self.open = true;
            // Relaxed: the compare-exchange that follows releases it (E2).
            self.desk.add(&self.desk.state.hot.sequence, ENTER, Ordering::Relaxed);
        }
    }
}

impl Drop for Section<'_> {
    fn drop(&mut self) {
        if self.open {
            // Release E2: pairs with the acquire in `sequence`; who sees us gone sees all we published.
            self.desk.add(&self.desk.state.hot.sequence, LEAVE, Ordering::Release);
        }
    }
}
