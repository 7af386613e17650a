//! A slot at work: allocate and free, as one thread does them, mirror images of each other.
//!
//! ```text
//!   allocate   ring --miss--> settle the ring, place by the hints --miss--> complete search --miss--> verdict
//!                  \----------------\----------------------------\--claim--> hints on what is left --> Block
//!   free       Block --put--> ring --pushed out--> settle: close, join, hint
//! ```

use super::Buddy;
use super::claim::{self, Denied};
use super::desk::Desk;
use super::error::{AllocateError, FreeError};
use super::geometry::{Need, Run};
use super::placement;
use super::release;
use super::request::{Block, Request};
use super::verdict::{self, Full};
use crate::units::{Bytes, Offset};

/// Places that are tried before the complete search, where other threads take each first.
const PLACES: usize = 8;

/// One thread's place at a [`Buddy`]: what it needs beside the tree is here, on cache lines of its own.
#[derive(Debug)]
pub struct Slot<'a> {
    pub(super) buddy: &'a Buddy,
    pub(super) desk: Desk<'a>,
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
