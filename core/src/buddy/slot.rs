//! A slot: one thread's place at a buddy, and the right to write there without asking.

use super::Buddy;
use super::error::{AllocateError, FreeError};
use super::geometry::Run;
use super::latest::Latest;
use super::request::{Block, Request};
use super::sequence::Sequence;
use super::worker::Worker;
use crate::units::{Bytes, Offset};

/// One thread's place at a [`Buddy`]: what it needs beside the tree is here, on cache lines of its own.
///
/// Keep it: what its owner freed last is taken again by one compare-exchange, if it is one piece, for any request that reserves as
/// much and may start there. It stays free for everybody until then.
#[derive(Debug)]
pub struct Slot<'a> {
    worker: Worker<'a>,
    latest: Option<Latest<'a>>,
}

impl<'a> Slot<'a> {
    pub(super) fn new(worker: Worker<'a>) -> Slot<'a> {
        Slot { worker, latest: None }
    }

    /// A block of at least the requested bytes at the requested alignment.
    ///
    /// # Progress
    /// Lock-free: a retry means that another operation has taken or freed something. A stopped thread stops nobody.
    ///
    /// # Errors
    /// [`AllocateError`]: too large for ever, full now, or no bytes at all.
    #[inline(always)]
    pub fn allocate(&mut self, request: Request) -> Result<Block, AllocateError> {
        if let Some((latest, taken)) = self.latest_for(request)
            && latest.take()
        {
            self.worker.desk.set(taken);
            return Ok(Block::from_parts(latest.offset, request.bytes));
        }
        self.worker.allocate_anew(self.latest_run(), request)
    }

    /// Gives a block back. The mirror of [`allocate`](Slot::allocate).
    ///
    /// # Progress
    /// Lock-free: a retry means that another operation changed the same word.
    ///
    /// # Panics
    /// When [`try_free`](Slot::try_free) would refuse it: freeing twice is a mistake that must not pass unseen.
    #[inline(always)]
    #[track_caller]
    pub fn free(&mut self, block: Block) {
        if let Err(mistake) = self.try_free(block) {
            refuse(&mistake);
        }
    }

    /// Gives a block back, or says why it cannot be this arena's.
    ///
    /// # Errors
    /// [`FreeError`] hands the block back: part of it is free already, or it does not lie here. The first is found whenever
    /// the free part is free as one of the block's own units, or as part of a larger one.
    #[inline(always)]
    pub fn try_free(&mut self, block: Block) -> Result<(), FreeError> {
        if let Some((latest, freed)) = self.latest_of(&block) {
            let Worker { buddy, desk } = self.worker;
            if latest.put(&buddy.tree, desk) {
                desk.set(freed);
                return Ok(());
            }
        }
        self.free_anew(block)
    }

    /// Exactly the granules of `bytes` at `offset`, or nothing when one of them is taken, or they do not lie here.
    /// For moves: it keeps what has just become free from everybody else.
    pub fn take(&mut self, offset: Offset, bytes: Bytes) -> Option<Block> {
        self.worker.take(offset, bytes)
    }

    /// The latest run, if it is here and serves the request, and the sequence once it is taken.
    #[inline(always)]
    fn latest_for(&self, request: Request) -> Option<(&Latest<'a>, Sequence)> {
        let (latest, taken) = (self.latest.as_ref()?, self.worker.desk.sequence().taken()?);
        let geometry = &self.worker.buddy.geometry;
        let starts_so = || geometry.starts_at(request.align) || latest.offset.0.is_multiple_of(request.align.0);
        (latest.serves(request.bytes) && starts_so()).then_some((latest, taken))
    }

    /// The mirror of [`latest_for`](Slot::latest_for): the latest run, if it is out as this block, and the sequence once it is freed.
    #[inline(always)]
    fn latest_of(&self, block: &Block) -> Option<(&Latest<'a>, Sequence)> {
        let (latest, freed) = (self.latest.as_ref()?, self.worker.desk.sequence().freed()?);
        (block.offset() == latest.offset && latest.serves(block.bytes())).then_some((latest, freed))
    }

    /// Another run than the latest, which goes to the ring. It is the latest now, if it is one piece.
    #[inline(never)]
    fn free_anew(&mut self, block: Block) -> Result<(), FreeError> {
        let Worker { buddy: Buddy { geometry, tree, .. }, desk } = self.worker;
        let Some(run) = geometry.run(block.offset(), block.bytes()) else { return Err(FreeError::NotHere(block)) };
        let freed = Latest::of(geometry, tree, run);
        // As it was before a section of this put: the store that counts the free leaves that section.
        let mut sequence = desk.sequence();
        if !freed.as_ref().is_some_and(|freed| freed.put(tree, desk)) {
            if !self.worker.put(run) {
                return Err(FreeError::AlreadyFree(block));
            }
            sequence = desk.sequence();
        }
        let Some(latest) = freed else {
            desk.freed(run.granules());
            self.worker.push(run);
            return Ok(());
        };
        let before = self.latest_run();
        self.latest = Some(latest);
        desk.freed_latest(sequence, run.granules());
        if !before.is_empty() {
            self.worker.push(before);
        }
        Ok(())
    }

    /// The latest run where it is here; nothing where it is out.
    #[inline]
    fn latest_run(&self) -> Run {
        match self.latest {
            Some(latest) if self.worker.desk.sequence().is_here() => latest.run,
            _ => Run::EMPTY,
        }
    }
}

/// Apart from the path that has nothing to refuse.
#[cold]
#[track_caller]
pub(super) fn refuse(mistake: &FreeError) -> ! {
    panic!("{mistake}")
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let latest = self.latest_run();
        if !latest.is_empty() {
            // It stays in the books as it is, here, until the next owner's latest run takes its place.
            self.worker.push(latest);
        }
        self.worker.desk.release();
    }
}
