//! An arena of real memory, for the peers that keep their books in it: pages that are touched by nobody cost nothing.

use memmap2::{MmapMut, MmapOptions};

/// Anonymous memory, mapped and zero.
#[derive(Debug)]
pub(super) struct Memory {
    /// Held for its drop only.
    _map: MmapMut,
    base: usize,
}

impl Memory {
    /// `bytes` bytes whose address is a multiple of `align`.
    pub(super) fn new(bytes: usize, align: usize) -> Memory {
        let mut map = MmapOptions::new().len(bytes + align).no_reserve_swap().map_anon().expect("address space");
        let base = map.as_mut_ptr().expose_provenance().next_multiple_of(align);
        Memory { _map: map, base }
    }

    /// The address of its first byte; its provenance is exposed.
    pub(super) fn base(&self) -> usize {
        self.base
    }
}
