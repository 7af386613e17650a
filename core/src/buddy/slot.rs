//! A slot: one thread's place at a buddy, and the right to write there without asking.

use super::error::{AllocateError, FreeError};
use super::request::{Block, Request};
use super::worker::Worker;
use crate::units::{Bytes, Offset};

/// One thread's place at a [`Buddy`](super::Buddy): what it needs beside the tree is here, on cache lines of its own.
#[derive(Debug)]
pub struct Slot<'a> {
    pub(super) worker: Worker<'a>,
}

impl Slot<'_> {
    /// A block of at least the requested bytes at the requested alignment.
    ///
    /// # Progress
    /// Lock-free: a retry means that another operation has taken or freed something. A stopped thread stops nobody.
    ///
    /// # Errors
    /// [`AllocateError`]: too large for ever, full now, or no bytes at all.
    #[inline(always)]
    pub fn allocate(&mut self, request: Request) -> Result<Block, AllocateError> {
        self.worker.allocate(request)
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
        self.worker.free(block)
    }

    /// Exactly the granules of `bytes` at `offset`, or nothing when one of them is taken, or they do not lie here.
    /// For moves: it keeps what has just become free from everybody else.
    pub fn take(&mut self, offset: Offset, bytes: Bytes) -> Option<Block> {
        self.worker.take(offset, bytes)
    }
}

/// Apart from the path that has nothing to refuse.
#[cold]
#[track_caller]
fn refuse(mistake: &FreeError) -> ! {
    panic!("{mistake}")
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        self.worker.desk.release();
    }
}
