//! `frame-alloc`: a lock-free buddy of powers of two for kernels, with its books inside the arena.
#![allow(unsafe_code)] // Its interface is unsafe: it hands out frames of physical memory.

use std::num::NonZeroUsize;
use std::ptr::{NonNull, with_exposed_provenance_mut};

use frame_alloc::{PageSize, PhysRange, PhysicalAllocator, Provenance, RegionInit, SummaryBuddyAllocator};

use super::memory::Memory;
use crate::contender::{Allocator, Contender, Shape};

/// `frame_alloc::SummaryBuddyAllocator` with so many orders; 16 are enough for blocks of 16 MiB in granules of 512 bytes.
pub struct FrameAlloc<const ORDERS: usize = 16> {
    inner: SummaryBuddyAllocator<ORDERS, Exposed>,
    granule: PageSize,
    memory: Memory,
    shape: Shape,
}

/// A number of granules at an address.
#[derive(Debug)]
pub struct Frames(usize, NonZeroUsize);

/// The arena is one mapping whose provenance is exposed.
struct Exposed;

// SAFETY: the address lies in a `Memory`, whose pointer was exposed and which outlives the allocator that asks.
unsafe impl Provenance for Exposed {
    unsafe fn create(address: usize) -> NonNull<u8> {
        NonNull::new(with_exposed_provenance_mut(address)).expect("mapped")
    }

    unsafe fn destroy<T>(pointer: NonNull<T>) -> usize {
        pointer.addr().get()
    }
}

impl<const ORDERS: usize> Contender for FrameAlloc<ORDERS> {
    type Block = Frames;
    type Seat<'a> = &'a FrameAlloc<ORDERS>;
    const NAME: &str = "frame-alloc";

    fn new(shape: Shape) -> Self {
        let granule = PageSize::from_log2(shape.granule.ilog2() as u8);
        let memory = Memory::new(shape.arena as usize, granule.bytes() << (ORDERS - 1));
        let inner = SummaryBuddyAllocator::new(granule);
        let all = PhysRange { base: memory.base(), len: shape.arena as usize };
        // SAFETY: the range is ours alone, mapped, and reachable as `Exposed` says; no other thread knows `inner` yet.
        unsafe { inner.try_init(all.base, all.len, &[all]) }.expect("a good region");
        FrameAlloc { inner, granule, memory, shape }
    }

    fn seat(&self, _: usize) -> &Self {
        self
    }
}

impl<const ORDERS: usize> Allocator for &FrameAlloc<ORDERS> {
    type Block = Frames;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Frames> {
        let count = NonZeroUsize::new(self.shape.granules(bytes) as usize)?;
        let address = self.inner.allocate_physical(self.granule, count).ok()?;
        Some(Frames(address, count))
    }

    #[inline]
    fn free(&mut self, Frames(address, count): Frames) {
        // SAFETY: `Frames` are made by `allocate` alone, cannot be copied, and carry what was asked.
        unsafe { self.inner.deallocate_physical(self.granule, count, address) }
    }

    fn offset(&self, block: &Frames) -> Option<u64> {
        Some((block.0 - self.memory.base()) as u64)
    }
}
