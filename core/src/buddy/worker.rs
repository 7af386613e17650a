//! At work: what a slot does to the buddy, step by step. Allocate and free are mirror images of each other.
//!
//! ```text
//!   allocate   latest run | ring's newest --miss--> rest of the ring --miss--> settle the ring, place by the hints --miss--> complete search
//!                  \-----------------------\----------------------------------\--claim--> hints on what is left --> Block
//!   free       Block --put--> latest run --the next one--> ring --pushed out--> settle: close, join, hint
//! ```
//! The [latest](super::latest) run is a [`Slot`](super::Slot)'s alone, and is kept there; who has no slot of his own begins with
//! the ring. The first step of each is inlined where it is called, the others stand apart: they pass themselves by value, so
//! that the caller's loop keeps a slot in registers.

use super::Buddy;
use super::claim::{self, Denied};
use super::desk::Desk;
use super::error::{AllocateError, FreeError};
use super::geometry::{Need, Run};
use super::one_piece::OnePiece;
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

/// Why there is no run. As wide as an offset: the result of both comes back in registers, where a block that went through
/// memory would be waited for.
#[repr(u64)]
#[derive(Clone, Copy)]
enum Refusal {
    ForEver,
    Full,
    InFlight,
}

impl Worker<'_> {
    #[inline(always)]
    pub(super) fn allocate(self, request: Request) -> Result<Block, AllocateError> {
        match self.start_again(request) {
            Some(offset) => Ok(Block::from_parts(offset, request.bytes)),
            None => self.allocate_anew(Run::EMPTY, request),
        }
    }

    /// Where the first step did not serve: the latest run of who has a slot, the ring's newest of who has none.
    #[inline(always)]
    pub(super) fn allocate_anew(self, latest: Run, request: Request) -> Result<Block, AllocateError> {
        let block = |offset| Block::new(offset, request.bytes).ok_or(Refusal::ForEver);
        self.start_anew(latest, request).and_then(block).map_err(|refusal| self.refuse(request, refusal))
    }

    /// Where the run lay that was freed here last, if it is as long as this request and still there. No request that is
    /// refused for ever has a length that a ring holds.
    #[inline(always)]
    fn start_again(self, request: Request) -> Option<Offset> {
        let Buddy { geometry, tree, .. } = self.buddy;
        let run = self.desk.ring().newest(geometry.granules_for(request.bytes))?;
        (geometry.starts_at(request.align) && claim::take_one(tree, run)).then(|| {
            self.desk.ring().drop_newest();
            self.allocated(run)
        })
    }

    /// Where a run was claimed for this request.
    #[inline(never)]
    fn start_anew(self, latest: Run, request: Request) -> Result<Offset, Refusal> {
        let need = self.buddy.geometry.need(request).map_err(|_| Refusal::ForEver)?;
        match self.claim(latest, need) {
            Ok(run) => Ok(self.allocated(run)),
            Err(Full { in_flight: true }) => Err(Refusal::InFlight),
            Err(Full { in_flight: false }) => Err(Refusal::Full),
        }
    }

    /// The run is its owner's.
    #[inline(always)]
    fn allocated(self, run: Run) -> Offset {
        self.desk.allocated(run.granules());
        self.buddy.offset_of(run.start)
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
        if !OnePiece::of(tree, run).is_some_and(OnePiece::put) && !self.put(run) {
            return Err(FreeError::AlreadyFree(block));
        }
        self.desk.freed(run.granules());
        self.push(run);
        Ok(())
    }

    /// A run that was freed goes to the ring, and the oldest there out of it.
    #[inline]
    pub(super) fn push(self, run: Run) {
        if let Some(oldest) = self.desk.ring().push(run) {
            self.settle(oldest);
        }
    }

    #[inline(never)]
    pub(super) fn put(self, run: Run) -> bool {
        release::put(&self.buddy.tree, run, &mut self.desk.section()).is_ok()
    }

    /// What was freed here last, then the hole that the hints lead to, then any hole there is, then the verdict.
    fn claim(self, latest: Run, need: Need) -> Result<Run, Full> {
        if let Some(run) = self.claim_again(latest, need) {
            return Ok(run);
        }
        self.desk.ring().drain().for_each(|run| self.settle(run));
        if !latest.is_empty() {
            self.desk.forget_latest();
            self.settle(latest);
        }
        let preferred = placement::preferred(need);
        if let Some(run) = self.claim_place(preferred) {
            return Ok(run);
        }
        if preferred.align != need.align
            && let Some(run) = self.claim_any_place(need)
        {
            return Ok(run);
        }
        let run = verdict::claim_or_refuse(&self.buddy.tree, &self.buddy.slots, need, self.desk)?;
        self.hint_around(run);
        Ok(run)
    }

    /// Bounded by the ring: each turn takes an entry out of it.
    fn claim_again(self, latest: Run, need: Need) -> Option<Run> {
        if need.is(latest) && claim::take(&self.buddy.tree, latest, &mut self.desk.section()).is_ok() {
            self.desk.forget_latest();
            return Some(latest);
        }
        while let Some(run) = self.desk.ring().pop(need) {
            if claim::take(&self.buddy.tree, run, &mut self.desk.section()).is_ok() {
                return Some(run);
            }
        }
        None
    }

    /// Apart from the path on which a place is preferred and found.
    #[cold]
    #[inline(never)]
    fn claim_any_place(self, need: Need) -> Option<Run> {
        self.claim_place(need)
    }

    /// Each lost place is another thread's success; after a few, the complete search decides.
    #[inline(always)]
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
