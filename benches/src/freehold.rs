//! Ourselves: the buddy of `freehold-core`, a slot for each thread.

use freehold_core::{Block, Buddy, Bytes, Geometry, Request, Slot};

use crate::contender::{Allocator, Contender, Shape};

/// The buddy of `freehold-core`.
#[derive(Debug)]
pub struct Freehold(Buddy);

impl Contender for Freehold {
    type Block = Block;
    type Seat<'a> = Slot<'a>;
    const NAME: &str = "freehold";

    fn new(shape: Shape) -> Freehold {
        Freehold(Buddy::new(Geometry::new(Bytes(shape.arena), Bytes(shape.granule)).expect("an arena")))
    }

    fn seat(&self, thread: usize) -> Slot<'_> {
        self.0.slot(thread).expect("fewer threads than slots")
    }
}

impl Allocator for Slot<'_> {
    type Block = Block;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Block> {
        Slot::allocate(self, Request::new(Bytes(bytes))).ok()
    }

    #[inline]
    fn free(&mut self, block: Block) {
        Slot::free(self, block);
    }

    fn offset(&self, block: &Block) -> Option<u64> {
        Some(block.offset().get())
    }
}
