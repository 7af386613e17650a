//! At work: what a slot does to the buddy, step by step. Allocate and free are mirror images of each other.
//!
//! ```text
//!   allocate   ring's newest --miss--> rest of the ring --miss--> settle the ring, place by the hints --miss--> complete search
//!                  \-----------------------\----------------------------------\--claim--> hints on what is left --> Block
//!   free       Block --put--> ring --pushed out--> settle: close, join, hint
//! ```
//! The first step of each is inlined where it is called, the others stand apart: they pass themselves by value, so that the
//! caller's loop keeps a slot in registers.

use super::Buddy;
use super::claim::{self, Denied};
use super::desk::Desk;
use super::error::{AllocateError, FreeError};
use super::geometry::{Need, Run};
use super::placement;
use super::release;
use super::request::{Block, Request};
use super::upkeep;
use super::verdict::{self, Full};
use crate::units::{Bytes, Offset};

/// Places that are tried before the complete search, where other threads take each first.
const PLACES: usize = 8;

/// A slot without its owner's right to it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Worker<'a> {
    pub(super) buddy: &'a Buddy,
    pub(super) desk: Desk<'a>,
}

/// Why there is no run.
#[derive(Clone, Copy)]
enum Refusal {
    ForEver,
    Full,
    InFlight,
}

impl Worker<'_> {
    #[inline(always)]
    pub(super) fn allocate(self, request: Request) -> Result<Block, AllocateError> {
        let geometry = &self.buddy.geometry;
        let granules = geometry.granules_for(request.bytes);
        let start = match self.start_again(granules, request.align) {
            Some(start) => start,
            None => match self.start_anew(request) {
                Ok(start) => start,
                Err(refusal) => return Err(self.refuse(request, refusal)),
            },
        };
        self.desk.allocated(granules);
        Ok(geometry.block(Run { start, end: start + granules }, request.bytes))
    }

    /// Where the run lay that was freed here last, if it is as long as this request and still there. No request that is
    /// refused for ever has a length that a ring holds.
    #[inline(always)]
    fn start_again(self, granules: u64, align: Bytes) -> Option<u64> {
        let Buddy { geometry, tree, .. } = self.buddy;
        let run = self.desk.ring().newest(granules)?;
        (geometry.starts_at(align) && claim::take_beside(tree, run)).then(|| {
            self.desk.ring().drop_newest();
            run.start
        })
    }

    /// Where a run was claimed for this request. It comes back in registers: a block that went through memory would be waited for.
    #[inline(never)]
    fn start_anew(self, request: Request) -> Result<u64, Refusal> {
        let need = self.buddy.geometry.need(request).map_err(|_| Refusal::ForEver)?;
        match self.claim(need) {
            Ok(run) => Ok(run.start),
            Err(Full { in_flight: true }) => Err(Refusal::InFlight),
            Err(Full { in_flight: false }) => Err(Refusal::Full),
        }
    }

    #[cold]
    #[inline(never)]
    fn refuse(self, request: Request, refusal: Refusal) -> AllocateError {
        match (refusal, self.buddy.geometry.need(request)) {
            (Refusal::ForEver, Err(error)) => error,
            (refusal, _) => AllocateError::Full {
                requested: request.bytes,
                free: self.buddy.free_bytes(),
                largest_hole: self.buddy.longest_known_hole(),
                in_flight: matches!(refusal, Refusal::InFlight),
            },
        }
    }

    #[inline(always)]
    pub(super) fn free(self, block: Block) -> Result<(), FreeError> {
        let Buddy { geometry, tree, .. } = self.buddy;
        let Some(run) = geometry.run(block.offset(), block.bytes()) else { return Err(FreeError::NotHere(block)) };
        if !release::put_beside(tree, run) && !self.put(run) {
            return Err(FreeError::AlreadyFree(block));
        }
        self.desk.freed(run.granules());
        if let Some(oldest) = self.desk.ring().push(run) {
            self.settle(oldest);
        }
        Ok(())
    }

    #[inline(never)]
    fn put(self, run: Run) -> bool {
        release::put(&self.buddy.tree, run, &mut self.desk.section()).is_ok()
    }

    /// What was freed here last, then the hole that the hints lead to, then any hole there is, then the verdict.
    fn claim(self, need: Need) -> Result<Run, Full> {
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
    fn claim_again(self, need: Need) -> Option<Run> {
        while let Some(run) = self.desk.ring().pop(need.granules, need.align) {
            if claim::take(&self.buddy.tree, run, &mut self.desk.section()).is_ok() {
                return Some(run);
            }
        }
        None
    }

    /// Each lost place is another thread's success; after a few, the complete search decides.
    fn claim_place(self, need: Need) -> Option<Run> {
        let Buddy { tree, hints, .. } = self.buddy;
        for _ in 0..PLACES {
            let place = placement::find(tree, hints, need)?;
            match claim::take(tree, place.run, &mut self.desk.section()) {
                Ok(()) => {
                    upkeep::taken(tree, hints, place.hole, place.run);
                    return Some(place.run);
                }
                Err(Denied::Taken) => upkeep::forget(tree, hints, place.hole),
                Err(Denied::Scattered) => release::close_all(tree, place.run, &mut self.desk.section()),
            }
        }
        None
    }

    /// A freed run that nobody asked for again: closes its groups and joins it with its neighbours.
    #[inline(never)]
    fn settle(self, run: Run) {
        let Buddy { tree, hints, .. } = self.buddy;
        release::close_ends(tree, run, &mut self.desk.section());
        upkeep::freed(tree, hints, run);
    }

    /// A run was claimed without knowing its hole: hints at what is free beside it.
    fn hint_around(self, run: Run) {
        let Buddy { tree, hints, .. } = self.buddy;
        hints.add(Run { start: tree.free_since(run.start, 0), end: run.start });
        hints.add(Run { start: run.end, end: tree.free_until(run.end, tree.granules()) });
    }

    /// Exactly these granules, or nothing.
    pub(super) fn take(self, offset: Offset, bytes: Bytes) -> Option<Block> {
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
