//! The buddy: a lock-free sub-allocator over the offsets of one arena.
//!
//! The arena is a row of granules. The `tree` of words says which are free. An allocation is a run of granules: it is
//! the `latest` that its slot freed, or comes out of the `ring` of those freed before, or from the hole that `placement` finds
//! through `hints`, or from the complete `search`; a `claim` makes it its owner's. A free is the mirror: a `release`, the latest
//! run, the ring, and the joined hole's hint (`upkeep`). When nothing fits, the `verdict` says so, and says whether another
//! thread may have been hiding it.
//!
//! The truth is the tree alone. Rings and hints may be wrong at any time, and cost speed or placement when they are.
//!
//! # Invariants
//! I1: every granule lies under one token (free) or none (taken). I2: free + allocated = arena. I3: over every token stand
//! the marks by which a complete search finds it. [`Buddy::audit`] checks them by number.
//!
//! # Orderings
//! | edge | writer | reader | what becomes visible | model that fails without it |
//! | --- | --- | --- | --- | --- |
//! | E1 | put or close of a token | claim of it | the last owners' use of the granules | `buddy_free_then_allocate`, `buddy_coalesced_then_allocate`, `buddy_latest_run_passes_through_another` |
//! | E2 | claim, close or first token in a section; the section's end, `freed`, `set` | search, or a put beside it, then the sequences | that something was hidden | `buddy_verdict_sees_*`, `buddy_claim_while_buddies_coalesce` |
//! | E3 | put, then look at the mark | clear of the mark, then look at the tokens | one sees the other | `buddy_mark_is_not_lost`, `buddy_mark_above_the_latest_run_is_not_lost` |
//! | E4 | slot given back | slot acquired | the last owner's counts | `buddy_slot_changes_hands` |
//!
//! `loom_tests/weaken.sh` weakens each in turn; `loom_tests/weakened.txt` is its last output.
//!
//! # Progress
//! Lock-free: nothing waits, and a thread stopped for good at any step stops no other.
//! - *The latest run, taken or put*: one compare-exchange; a lost one goes the way of any other run.
//! - *Claim of one piece, put of one piece, close, mark*: one compare-exchange, lost only to another's success in that word.
//! - *Claim of several pieces*: pieces are taken in ascending address, what is not needed is published on success only, and a
//!   failure restores the very bits. Suppose no operation ever completed: then nothing new is published, stopped threads
//!   cause finitely many failures, and of the live claims the one that holds the highest contested address can fail only
//!   above it, where nothing is contested. So it completes.
//! - *Allocate*: the ring, the settling of what it holds, the hints and the complete search are each bounded; a lost place is another's success, and after a
//!   number of them the answer is full, `in_flight`.
//! - *Free*: its puts, then one settled run: two walks to the ends of a hole, word by word.
//! - A thread stopped inside a section hides at most the top-level units at both ends of its run, beside the run itself, and
//!   makes later refusals `in_flight`. A slot whose owner stopped is passed over; the shared one has no owner.
//!
//! Nothing here is unsafe, and nothing allocates after construction.

mod above;
mod audit;
mod bitmaps;
mod claim;
mod class;
mod desk;
mod error;
mod geometry;
mod hints;
mod holes;
mod latest;
mod one_piece;
mod placement;
mod release;
mod request;
mod ring;
mod search;
mod sequence;
mod slot;
mod slots;
mod tree;
mod upkeep;
mod verdict;
mod word;
mod worker;

pub use audit::Audit;
pub use error::{AllocateError, AuditError, FreeError, GeometryError};
pub use geometry::Geometry;
pub use request::{Block, Request};
pub use slot::Slot;

use geometry::Run;
use hints::Hints;
use slots::Slots;
use tree::Tree;
use worker::Worker;

use crate::units::{Bytes, Offset};

/// Slots of a buddy made by [`Buddy::new`].
const DEFAULT_SLOTS: usize = if cfg!(freehold_loom) { 2 } else { 64 };

/// One arena's free space: hands out disjoint ranges of offsets, and takes them back.
///
/// It owns no memory and knows no address. It is not fair: threads that meet in one word retry until they win.
///
/// # Example
/// ```
/// use freehold_core::{Buddy, Bytes, Geometry, Request};
/// let buddy = Buddy::new(Geometry::new(Bytes(1 << 30), Bytes(512)).unwrap());
/// let tensor = buddy.allocate(0, Request::new(Bytes(1_100_000))).unwrap();
/// assert_eq!(buddy.geometry().reserved(tensor.bytes()), Bytes(1_100_288)); // whole granules, not a power of two
/// buddy.free(0, tensor);
/// assert_eq!(buddy.free_bytes(), buddy.capacity());
/// ```
///
/// # Source
/// The tree is a descendant of the non-blocking buddy system (Marotta et al., 2018) and of LLFree (Wrenger et al., ATC 2023),
/// with runs of granules in place of orders.
#[derive(Debug)]
pub struct Buddy {
    geometry: Geometry,
    tree: Tree,
    hints: Hints,
    slots: Slots,
}

impl Buddy {
    /// An arena of this shape, all free. Allocates its words here, and nothing later.
    #[must_use]
    pub fn new(geometry: Geometry) -> Buddy {
        Buddy::with_slots(geometry, DEFAULT_SLOTS)
    }

    /// The same with `slots` slots, at least one: as many as threads will meet here.
    #[must_use]
    pub fn with_slots(geometry: Geometry, slots: usize) -> Buddy {
        let (tree, hints) = (Tree::new(geometry.granules()), Hints::new(geometry.granules()));
        let (slots, whole) = (Slots::new(slots.max(1)), Run { start: 0, end: geometry.granules() });
        release::publish(&tree, whole, &mut slots.everybodys().section());
        hints.add(whole);
        Buddy { geometry, tree, hints, slots }
    }

    /// A slot of its own for the caller, until it is dropped: operations through it write nothing that others write, but
    /// the tree. `hint` is any number, best a small one that differs from thread to thread; `None` when that slot and a few
    /// after it have owners.
    #[must_use]
    pub fn slot(&self, hint: usize) -> Option<Slot<'_>> {
        self.slots.own(hint).map(|desk| Slot::new(Worker { buddy: self, desk }))
    }

    /// [`Slot::allocate`] through any slot that is free now, or the one for everybody.
    ///
    /// # Errors
    /// As [`Slot::allocate`].
    #[inline]
    pub fn allocate(&self, hint: usize, request: Request) -> Result<Block, AllocateError> {
        self.at_any_slot(hint, |worker| worker.allocate(request))
    }

    /// [`Slot::free`] through any slot that is free now, or the one for everybody.
    ///
    /// # Panics
    /// As [`Slot::free`].
    #[inline]
    #[track_caller]
    pub fn free(&self, hint: usize, block: Block) {
        if let Err(mistake) = self.try_free(hint, block) {
            slot::refuse(&mistake);
        }
    }

    /// [`Slot::try_free`] through any slot that is free now, or the one for everybody.
    ///
    /// # Errors
    /// As [`Slot::try_free`].
    #[inline]
    pub fn try_free(&self, hint: usize, block: Block) -> Result<(), FreeError> {
        self.at_any_slot(hint, |worker| worker.free(block))
    }

    /// [`Slot::take`] through any slot that is free now, or the one for everybody.
    pub fn take(&self, hint: usize, offset: Offset, bytes: Bytes) -> Option<Block> {
        self.at_any_slot(hint, |worker| worker.take(offset, bytes))
    }

    /// The bytes that are free, in however many holes. Exact while nothing runs. O(slots).
    #[must_use]
    pub fn free_bytes(&self) -> Bytes {
        // Between two slots' counts a block may have passed from one to the other, and a slot's latest run may be counted twice
        // for a moment: the sum is kept inside the arena, at the end that it left it by.
        let granules = self.tree.granules();
        let free = granules.wrapping_add(self.slots.balance()) as i64;
        self.bytes_of(free.clamp(0, granules as i64) as u64)
    }

    /// The longest hole, momentarily stale. O(holes).
    #[must_use]
    pub fn largest_hole(&self) -> Bytes {
        self.bytes_of(search::holes(&self.tree).map(Run::granules).max().unwrap_or(0))
    }

    /// The longest hole that the hints lead to: O(holes of its class), and rarely less than there is.
    fn longest_known_hole(&self) -> Bytes {
        self.bytes_of(placement::longest(&self.tree, &self.hints))
    }

    /// Shows `visit` every hole in address order, as it looks while the walk passes by.
    pub fn holes(&self, mut visit: impl FnMut(Offset, Bytes)) {
        for hole in search::holes(&self.tree) {
            visit(self.offset_of(hole.start), self.bytes_of(hole.granules()));
        }
    }

    /// The bytes taken in the `region`th of `regions` equal stretches of the arena: a picture, momentarily stale.
    /// Zero for a region that does not exist.
    #[must_use]
    pub fn occupancy(&self, region: u64, regions: u64) -> Bytes {
        let edge =
            |index: u64| (u128::from(self.tree.granules()) * u128::from(index) / u128::from(regions.max(1))) as u64;
        if region >= regions {
            return Bytes::ZERO;
        }
        let (start, end) = (edge(region), edge(region + 1));
        let inside = |hole: Run| hole.end.min(end).saturating_sub(hole.start.max(start));
        let holes = search::holes(&self.tree).skip_while(|hole| hole.end <= start).take_while(|hole| hole.start < end);
        self.bytes_of(end - start - holes.map(inside).sum::<u64>())
    }

    /// The arena's shape: what a request reserves of it is [`Geometry::reserved`].
    #[must_use]
    pub fn geometry(&self) -> &Geometry {
        &self.geometry
    }

    /// The bytes that can be handed out in all.
    #[must_use]
    pub fn capacity(&self) -> Bytes {
        self.geometry.capacity()
    }

    /// The smallest unit.
    #[must_use]
    pub fn granule(&self) -> Bytes {
        self.geometry.granule()
    }

    /// What the buddy itself occupies: about 1.8 bits a granule, 640 bytes for each doubling of the arena, and 128 bytes a slot.
    #[must_use]
    pub fn metadata_bytes(&self) -> Bytes {
        Bytes((size_of::<Buddy>() + self.tree.bytes() + self.hints.bytes() + self.slots.bytes()) as u64)
    }

    /// The slot goes back when `act` returns; a panic in there would be a mistake of ours, and cost the buddy a slot.
    #[inline(always)]
    fn at_any_slot<R>(&self, hint: usize, act: impl FnOnce(Worker<'_>) -> R) -> R {
        let desk = self.slots.any(hint);
        let result = act(Worker { buddy: self, desk });
        desk.release();
        result
    }

    fn bytes_of(&self, granules: u64) -> Bytes {
        self.geometry.bytes_of(granules)
    }

    fn offset_of(&self, granule: u64) -> Offset {
        self.geometry.offset_of(granule)
    }
}

#[cfg(all(test, not(freehold_loom)))]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_small_and_a_whole_card_is_constructed_at_once() {
        for (arena, granule) in [(1 << 30, 4096), (1 << 30, 512), (141 << 30, 512)] {
            let buddy = Buddy::new(Geometry::new(Bytes(arena), Bytes(granule)).unwrap());
            let bits = buddy.metadata_bytes().get() as f64 * 8.0 / (arena / granule) as f64;
            assert!(bits <= 2.5, "{bits} bits a granule of {granule} bytes in {arena}");
        }
    }
}
