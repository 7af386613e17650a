//! `offset-allocator`: Aaltonen's two-level bins with good fit, for offsets; counts in 32 bits.

use offset_allocator::{Allocation, Allocator as Inner};

use crate::contender::{Allocator, Peer, Shape};

/// `offset_allocator::Allocator`, counting granules.
pub struct OffsetAllocator {
    inner: Inner,
    shape: Shape,
}

impl Peer for OffsetAllocator {
    const NAME: &str = "offset-allocator";
    const LOCKED: &str = "offset-allocator+pl";

    fn new(shape: Shape) -> Self {
        OffsetAllocator { inner: Inner::new(shape.granules(shape.arena) as u32), shape }
    }
}

impl Allocator for OffsetAllocator {
    type Block = Allocation;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Allocation> {
        self.inner.allocate(self.shape.granules(bytes) as u32)
    }

    #[inline]
    fn free(&mut self, block: Allocation) {
        self.inner.free(block);
    }

    fn offset(&self, block: &Allocation) -> Option<u64> {
        Some(u64::from(block.offset) * self.shape.granule)
    }
}
