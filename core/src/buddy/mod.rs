//! The buddy: a lock-free sub-allocator over the offsets of one arena.
//!
//! The arena is a row of granules. The `tree` of words says which are free; an allocation is a run of granules found by
//! a `search`, and made its owner's by a `claim`; a free is its mirror, a `release`. When nothing fits, the
//! `verdict` says so, and says whether another thread may have been hiding it.
//!
//! ```text
//!   Request --geometry--> Need --search--> Run --claim--> Block --release--> Run, free again
//!                               \--verdict--> Full { in_flight }
//! ```
//!
//! What is shared, and the ordering edges between the threads:
//!
//! | edge | writer | reader | what becomes visible | model that fails without it |
//! | --- | --- | --- | --- | --- |
//! | E1 | put of a token | claim of it | the last owner's use of the granules | `buddy_free_then_allocate` |
//! | E2 | claim or close in a section; `leave`, `freed` | search, then the sequences | that something was hidden | `buddy_verdict_*` |
//! | E3 | put, then look at the mark | clear of the mark, then look at the tokens | one sees the other | `buddy_mark_is_not_lost` |
//! | E4 | slot given back | slot acquired | the last owner's counts | `buddy_slot_changes_hands` |
//!
//! Nothing here waits, nothing is unsafe, and nothing allocates after construction.

mod audit;
mod claim;
mod class;
mod error;
mod geometry;
mod hints;
mod placement;
mod release;
mod request;
mod ring;
mod search;
mod slot;
mod tree;
mod verdict;
mod word;

pub use audit::Audit;
pub use error::{AllocateError, AuditError, FreeError, GeometryError};
pub use geometry::Geometry;
pub use request::{Block, Request};

use claim::Denied;
use geometry::{Need, Run};
use hints::Hints;
use slot::{Desk, Slots};
use tree::Tree;
use verdict::Full;

use crate::units::{Bytes, Offset};

/// Slots of a buddy made by [`Buddy::new`].
const DEFAULT_SLOTS: usize = if cfg!(freehold_loom) { 2 } else { 64 };

/// Places that are tried before the complete search, where other threads take each first.
const PLACES: usize = 8;

/// One arena's free space: hands out disjoint ranges of offsets, and takes them back.
///
/// It owns no memory and knows no address. It is not fair: threads that meet in one word retry until they win.
///
/// # Example
/// ```
/// use freehold_core::{Buddy, Bytes, Geometry, Request};
/// let buddy = Buddy::new(Geometry::new(Bytes(1 << 30), Bytes(512)).unwrap());
/// let tensor = buddy.allocate(0, Request::new(Bytes(1_100_000))).unwrap();
/// assert_eq!(tensor.reserved(), Bytes(1_100_288)); // whole granules, not a power of two
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
        let whole = Run { start: 0, end: geometry.granules() };
        release::publish(&tree, whole);
        hints.add(whole);
        Buddy { geometry, tree, hints, slots: Slots::new(slots.max(1)) }
    }

    /// A slot of its own for the caller, until it is dropped: operations through it write nothing that others write, but
    /// the tree. `hint` is any number, best a small one that differs from thread to thread; `None` when that slot and a few
    /// after it have owners.
    #[must_use]
    pub fn slot(&self, hint: usize) -> Option<Slot<'_>> {
        self.slots.own(hint).map(|desk| Slot { buddy: self, desk })
    }

    /// [`Slot::allocate`] through any slot that is free now, or the one for everybody.
    ///
    /// # Errors
    /// As [`Slot::allocate`].
    pub fn allocate(&self, hint: usize, request: Request) -> Result<Block, AllocateError> {
        self.any_slot(hint).allocate(request)
    }

    /// [`Slot::free`] through any slot that is free now, or the one for everybody.
    ///
    /// # Panics
    /// As [`Slot::free`].
    pub fn free(&self, hint: usize, block: Block) {
        self.any_slot(hint).free(block);
    }

    /// [`Slot::try_free`] through any slot that is free now, or the one for everybody.
    ///
    /// # Errors
    /// As [`Slot::try_free`].
    pub fn try_free(&self, hint: usize, block: Block) -> Result<(), FreeError> {
        self.any_slot(hint).try_free(block)
    }

    /// [`Slot::take`] through any slot that is free now, or the one for everybody.
    pub fn take(&self, hint: usize, offset: Offset, bytes: Bytes) -> Option<Block> {
        self.any_slot(hint).take(offset, bytes)
    }

    /// The bytes that are free, in however many holes. Exact while nothing runs. O(slots).
    #[must_use]
    pub fn free_bytes(&self) -> Bytes {
        // Between two slots' counts a block may have passed from one to the other: the sum is kept inside the arena.
        let granules = self.tree.granules().wrapping_add(self.slots.balance());
        self.bytes_of(if granules > self.tree.granules() { 0 } else { granules })
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

    fn any_slot(&self, hint: usize) -> Slot<'_> {
        Slot { buddy: self, desk: self.slots.any(hint) }
    }

    fn bytes_of(&self, granules: u64) -> Bytes {
        self.geometry.bytes_of(granules)
    }

    fn offset_of(&self, granule: u64) -> Offset {
        Offset(granule * self.geometry.granule().get())
    }
}

/// One thread's place at a [`Buddy`]: what it needs beside the tree is here, on cache lines of its own.
#[derive(Debug)]
pub struct Slot<'a> {
    buddy: &'a Buddy,
    desk: Desk<'a>,
}

impl Slot<'_> {
    /// A block of at least the requested bytes at the requested alignment.
    ///
    /// # Progress
    /// Lock-free: a retry means that another operation has taken or freed something. A stopped thread stops nobody.
    ///
    /// # Errors
    /// [`AllocateError`]: too large for ever, full now, or no bytes at all.
    pub fn allocate(&mut self, request: Request) -> Result<Block, AllocateError> {
        let geometry = &self.buddy.geometry;
        let need = geometry.need(request)?;
        match self.claim(need) {
            Ok(run) => {
                self.desk.allocated(run.granules());
                Ok(geometry.block(run, request.bytes))
            }
            Err(full) => Err(AllocateError::Full {
                requested: request.bytes,
                free: self.buddy.free_bytes(),
                largest_hole: self.buddy.longest_known_hole(),
                in_flight: full.in_flight,
            }),
        }
    }

    /// Gives a block back. The mirror of [`allocate`](Slot::allocate).
    ///
    /// # Progress
    /// Lock-free: a retry means that another operation changed the same word.
    ///
    /// # Panics
    /// When [`try_free`](Slot::try_free) would refuse it: freeing twice is a mistake that must not pass unseen.
    #[track_caller]
    pub fn free(&mut self, block: Block) {
        if let Err(mistake) = self.try_free(block) {
            panic!("{mistake}");
        }
    }

    /// Gives a block back, or says why it cannot be this arena's.
    ///
    /// # Errors
    /// [`FreeError`] hands the block back: part of it is free already, or it does not lie here. The first is found whenever
    /// the free part is free as one of the block's own units, or as part of a larger one.
    pub fn try_free(&mut self, block: Block) -> Result<(), FreeError> {
        let Buddy { geometry, tree, .. } = self.buddy;
        let Some(run) = geometry.run(block.offset(), block.bytes()) else { return Err(FreeError::NotHere(block)) };
        if release::put(tree, run).is_err() {
            return Err(FreeError::AlreadyFree(block));
        }
        self.desk.freed(run.granules());
        if let Some(oldest) = self.desk.ring().push(run) {
            self.settle(oldest);
        }
        Ok(())
    }

    /// What was freed here last, then the hole that the hints lead to, then any hole there is, then the verdict.
    fn claim(&mut self, need: Need) -> Result<Run, Full> {
        if let Some(run) = self.claim_again(need) {
            return Ok(run);
        }
        self.desk.ring().drain().for_each(|run| self.settle(run));
        if let Some(run) = self.claim_place(placement::preferred(need)) {
            return Ok(run);
        }
        let run = verdict::claim_or_refuse(&self.buddy.tree, &self.buddy.slots, need, self.desk)?;
        self.hint_around(run);
        Ok(run)
    }

    /// Bounded by the ring: each turn takes an entry out of it.
    fn claim_again(&self, need: Need) -> Option<Run> {
        while let Some(run) = self.desk.ring().pop(need.granules, need.align) {
            if claim::take(&self.buddy.tree, run, &mut self.desk.section()).is_ok() {
                return Some(run);
            }
        }
        None
    }

    /// Each lost place is another thread's success; after a few, the complete search decides.
    fn claim_place(&self, need: Need) -> Option<Run> {
        let Buddy { tree, hints, .. } = self.buddy;
        for _ in 0..PLACES {
            let place = placement::find(tree, hints, need)?;
            match claim::take(tree, place.run, &mut self.desk.section()) {
                Ok(()) => {
                    placement::taken(tree, hints, place);
                    return Some(place.run);
                }
                Err(Denied::Taken) => placement::forget(tree, hints, place.hole),
                Err(Denied::Scattered) => release::close_all(tree, place.run, &mut self.desk.section()),
            }
        }
        None
    }

    /// A freed run that nobody asked for again: closes its groups and joins it with its neighbours.
    fn settle(&self, run: Run) {
        let Buddy { tree, hints, .. } = self.buddy;
        release::close_ends(tree, run, &mut self.desk.section());
        placement::freed(tree, hints, run);
    }

    /// A run was claimed without knowing its hole: hints at what is free beside it.
    fn hint_around(&self, run: Run) {
        let Buddy { tree, hints, .. } = self.buddy;
        hints.add(Run { start: tree.free_since(run.start, 0), end: run.start });
        hints.add(Run { start: run.end, end: tree.free_until(run.end, tree.granules()) });
    }

    /// Exactly the granules of `bytes` at `offset`, or nothing when one of them is taken, or they do not lie here.
    /// For moves: it keeps what has just become free from everybody else.
    pub fn take(&mut self, offset: Offset, bytes: Bytes) -> Option<Block> {
        let Buddy { geometry, tree, .. } = self.buddy;
        let run = geometry.run(offset, bytes)?;
        loop {
            let mut section = self.desk.section();
            match claim::take(tree, run, &mut section) {
                Ok(()) => break,
                Err(Denied::Taken) => return None,
                // Bounded: a run whose groups are closed is not scattered, unless others free into it meanwhile.
                Err(Denied::Scattered) => release::close_all(tree, run, &mut section),
            }
        }
        self.desk.allocated(run.granules());
        self.hint_around(run);
        Some(geometry.block(run, bytes))
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.desk.release();
    }
}
