//! `rlsf`: TLSF for memory, its headers inside the arena. Blocks begin at multiples of 16 bytes, not of a granule.
#![allow(unsafe_code)] // It writes its headers into the memory that it is given.

use std::alloc::Layout;
use std::ptr::{NonNull, slice_from_raw_parts_mut, with_exposed_provenance_mut};

use rlsf::Tlsf;

use super::memory::Memory;
use crate::contender::{Allocator, Peer, Shape};

const ALIGN: usize = 16;

/// `rlsf::Tlsf` over real memory.
#[derive(Debug)]
pub struct Rlsf {
    inner: Tlsf<'static, u32, u32, 28, 32>,
    memory: Memory,
}

/// An address in the arena.
#[derive(Debug)]
pub struct Place(NonNull<u8>);

// SAFETY: a `Place` is a number to everybody but the `Rlsf` that made it; nobody looks behind the pointer.
unsafe impl Send for Place {}

impl Peer for Rlsf {
    const NAME: &str = "rlsf";
    const LOCKED: &str = "rlsf+pl";

    fn new(shape: Shape) -> Self {
        let memory = Memory::new(shape.arena as usize, shape.granule as usize);
        let mut inner = Tlsf::new();
        let all = slice_from_raw_parts_mut(with_exposed_provenance_mut(memory.base()), shape.arena as usize);
        // SAFETY: the mapping is ours alone, and `memory` stands beside `inner`, which does not touch it in its drop.
        unsafe { inner.insert_free_block_ptr(NonNull::new(all).expect("mapped")) }.expect("room for a block");
        Rlsf { inner, memory }
    }
}

impl Allocator for Rlsf {
    type Block = Place;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<Place> {
        self.inner.allocate(Layout::from_size_align(bytes as usize, ALIGN).ok()?).map(Place)
    }

    #[inline]
    fn free(&mut self, Place(pointer): Place) {
        // SAFETY: `Place` is made by `allocate` alone, at this alignment, and comes back to the arena it is from.
        unsafe { self.inner.deallocate(pointer, ALIGN) }
    }

    fn offset(&self, block: &Place) -> Option<u64> {
        Some((block.0.addr().get() - self.memory.base()) as u64)
    }
}
