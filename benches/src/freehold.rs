//! Ourselves: the buddy of `freehold-core`, with a slot for each thread, or with whatever slot is free at each call.

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

/// The same, by callers that keep no slot: each call takes one that is free, and gives it back.
#[derive(Debug)]
pub struct AnySlot(Buddy);

/// A caller without a slot, who begins to look for one here.
#[derive(Debug)]
pub struct Caller<'a>(&'a Buddy, usize);

impl Contender for AnySlot {
    type Block = Block;
    type Seat<'a> = Caller<'a>;
    const NAME: &str = "freehold, no slot kept";

    fn new(shape: Shape) -> AnySlot {
        AnySlot(Freehold::new(shape).0)
    }

    fn seat(&self, thread: usize) -> Caller<'_> {
        Caller(&self.0, thread)
    }
}

impl Allocator for Caller<'_> {
    type Block = Block;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Block> {
        self.0.allocate(self.1, Request::new(Bytes(bytes))).ok()
    }

    #[inline]
    fn free(&mut self, block: Block) {
        self.0.free(self.1, block);
    }

    fn offset(&self, block: &Block) -> Option<u64> {
        Some(block.offset().get())
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
