//! `range-alloc`: best fit over a sorted list of free ranges, as used by graphics back ends.

use std::ops::Range;

use range_alloc::RangeAllocator;

use crate::contender::{Allocator, Peer, Shape};

/// `range_alloc::RangeAllocator`, counting granules.
#[derive(Debug)]
pub struct RangeAlloc {
    inner: RangeAllocator<u64>,
    shape: Shape,
}

impl Peer for RangeAlloc {
    const NAME: &str = "range-alloc";
    const LOCKED: &str = "range-alloc+pl";

    fn new(shape: Shape) -> Self {
        RangeAlloc { inner: RangeAllocator::new(0..shape.granules(shape.arena)), shape }
    }
}

impl Allocator for RangeAlloc {
    type Block = Range<u64>;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Range<u64>> {
        self.inner.allocate_range(self.shape.granules(bytes)).ok()
    }

    #[inline]
    fn free(&mut self, block: Range<u64>) {
        self.inner.free_range(block);
    }

    fn offset(&self, block: &Range<u64>) -> Option<u64> {
        Some(block.start * self.shape.granule)
    }
}
