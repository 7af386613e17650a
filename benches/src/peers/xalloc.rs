//! `xalloc`: TLSF for offsets, with its books on the heap.
#![allow(unsafe_code)] // It trusts that a region comes back to the allocator that gave it.

use xalloc::{SysTlsf, SysTlsfRegion};

use crate::contender::{Allocator, Peer, Shape};

/// `xalloc::SysTlsf`, counting granules.
#[derive(Debug)]
pub struct Xalloc {
    inner: SysTlsf<u32>,
    shape: Shape,
}

/// A region, and where it begins.
#[derive(Debug)]
pub struct Place(SysTlsfRegion, u32);

impl Peer for Xalloc {
    const NAME: &str = "xalloc";
    const LOCKED: &str = "xalloc+pl";

    fn new(shape: Shape) -> Self {
        Xalloc { inner: SysTlsf::with_capacity(shape.granules(shape.arena) as u32, 1 << 16), shape }
    }
}

impl Allocator for Xalloc {
    type Block = Place;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Place> {
        self.inner.alloc(self.shape.granules(bytes) as u32).map(|(region, offset)| Place(region, offset))
    }

    #[inline]
    fn free(&mut self, Place(region, _): Place) {
        // SAFETY: each workload gives a block back to the contender that it came from.
        unsafe { self.inner.dealloc_unchecked(region) }
    }

    fn offset(&self, block: &Place) -> Option<u64> {
        Some(u64::from(block.1) * self.shape.granule)
    }
}
