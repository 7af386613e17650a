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
//! | any other claim, a close, a group's first token, the clearing of a mark | `enter` before its first compare-exchange, dropped after its last |
//! | free | `freed` or `freed_latest` after its last compare-exchange |
//! | the [latest](super::latest) run, taken again or put back | `set` after its compare-exchange: one plain store is all its books |

use alloc::boxed::Box;

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
    fn new(exclusive: bool) -> SlotState {
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

    /// A free has put its last token, and its run is the latest from now on. Whether the one before was here. For the owner.
    #[inline]
    pub(super) fn freed_latest(self, sequence: Sequence, granules: u64) -> bool {
        if sequence.is_here() {
            self.add_latest();
        }
        // Relaxed: a count among others, exact when nothing runs.
        self.state.hot.latest.store(granules, Ordering::Relaxed);
        self.set(sequence.freed_latest());
        sequence.is_here()
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

/// All slots of a buddy.
#[derive(Debug)]
pub(super) struct Slots {
    owned: Box<[SlotState]>,
    shared: SlotState,
}

/// What all slots but the caller's own have seen: changes completed, sections open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) completed: u64,
    pub(super) open: u64,
}

/// How many slots are tried before the shared one is taken.
const TRIES: usize = 4;

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        Slots { owned: (0..count).map(|_| SlotState::new(true)).collect(), shared: SlotState::new(false) }
    }

    /// A slot of its own for the caller: the one that `hint` names, or one of the next few.
    pub(super) fn own(&self, hint: usize) -> Option<Desk<'_>> {
        (0..TRIES.min(self.owned.len())).find_map(|step| self.owned[(hint + step) % self.owned.len()].acquire())
    }

    /// A slot of its own, or the one for everybody.
    pub(super) fn any(&self, hint: usize) -> Desk<'_> {
        self.own(hint).unwrap_or_else(|| self.everybodys())
    }

    /// The one for everybody.
    pub(super) fn everybodys(&self) -> Desk<'_> {
        Desk { state: &self.shared }
    }

    /// What they occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.owned)
    }

    /// Granules freed less granules allocated, wrapping.
    pub(super) fn balance(&self) -> u64 {
        self.all().fold(0, |sum, slot| sum.wrapping_add(slot.balance()))
    }

    /// One collect of all sequences but that of the caller's own slot. Each count only grows, so two collects with equal
    /// sums saw equal counts.
    pub(super) fn changes(&self, except: Desk<'_>) -> Changes {
        let others = self.all().filter(|slot| !(except.is_exclusive() && core::ptr::eq(*slot, except.state)));
        others.map(SlotState::sequence).fold(Changes { completed: 0, open: 0 }, |sum, slot| Changes {
            completed: sum.completed + slot.completed(),
            open: sum.open + slot.open(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &SlotState> {
        self.owned.iter().chain([&self.shared])
    }
}
