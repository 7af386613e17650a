//! `buddy_system_allocator`: a buddy of powers of two for frames, its free lists in ordered sets.

use buddy_system_allocator::FrameAllocator;

use crate::contender::{Allocator, Peer, Shape};

/// `buddy_system_allocator::FrameAllocator`, counting granules.
pub struct BuddySystem {
    inner: FrameAllocator,
    shape: Shape,
}

/// A number of granules, from the first.
#[derive(Debug)]
pub struct Frames {
    first: usize,
    count: usize,
}

impl Peer for BuddySystem {
    const NAME: &str = "buddy_system";
    const LOCKED: &str = "buddy_system+pl";

    fn new(shape: Shape) -> Self {
        let mut inner = FrameAllocator::new();
        inner.add_frame(0, shape.granules(shape.arena) as usize);
        BuddySystem { inner, shape }
    }
}

impl Allocator for BuddySystem {
    type Block = Frames;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Frames> {
        let count = self.shape.granules(bytes) as usize;
        self.inner.alloc(count).map(|first| Frames { first, count })
    }

    #[inline]
    fn free(&mut self, block: Frames) {
        self.inner.dealloc(block.first, block.count);
    }

    fn offset(&self, block: &Frames) -> Option<u64> {
        Some(block.first as u64 * self.shape.granule)
    }
}
