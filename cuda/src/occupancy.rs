//! Who lies where: one look at the arenas, for pictures and reports.
//!
//! It is a walk over the table while others may be at work: each block is shown as it was when the walk came by. A block
//! that was being moved may be shown at its old place or at its new one, and two blocks may share a range of which one was
//! just leaving. While nobody else is at work it is exact, and the blocks are disjoint.

use crate::inner::Inner;
use crate::manager::VramManager;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Entry, Offset, Residency};
use std::sync::Arc;

/// The arenas and the blocks in them, at one moment.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Occupancy {
    /// The size of each arena's region, by its number; zero for one without a region now.
    pub arenas: Vec<Bytes>,
    /// The blocks, by arena and offset.
    pub blocks: Vec<Occupied>,
}

/// One block, and whose it is.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Occupied {
    /// Which arena it lies in.
    pub arena: u32,
    /// Where it begins there.
    pub offset: Offset,
    /// What it takes: whole granules.
    pub bytes: Bytes,
    /// The entry: as [`VramHandle::id`](crate::VramHandle::id).
    pub id: u64,
    /// What the entry was called.
    pub label: Arc<str>,
    /// The plugin it belongs to.
    pub plugin: Arc<str>,
    /// How important it is.
    pub priority: i32,
    /// Why it is there, and whether it may leave.
    pub standing: BlockStanding,
}

/// What a block is to somebody who needs room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BlockStanding {
    /// Resident and not in use: it may leave.
    Idle,
    /// Resident and not in use, but never evicted: it may only be moved.
    Fixed,
    /// Pinned: it stays where it is.
    Pinned,
    /// Its bytes are being brought, moved or taken away; or it was released and is about to be freed.
    InTransit,
}

impl VramManager {
    /// Who lies where at this moment. Looking is no use of an entry (B4).
    ///
    /// **Progress**: lock-free. **Complexity**: one walk over all entries, and a sort of those that have memory.
    #[must_use]
    pub fn occupancy(&self) -> Occupancy {
        let inner = self.inner();
        let guard = epoch::pin();
        let mut blocks: Vec<Occupied> =
            inner.table.iter(&guard).filter_map(|entry| Occupied::of(inner, entry)).collect();
        blocks.sort_unstable_by_key(|block| (block.arena, block.offset));
        Occupancy { arenas: inner.arenas.iter().map(|(_, arena)| arena.size()).collect(), blocks }
    }
}

impl Occupied {
    fn of(inner: &Inner, entry: &Entry<Tenant>) -> Option<Occupied> {
        let tenant = entry.payload();
        let place = tenant.place.get()?;
        Some(Occupied {
            arena: place.arena,
            offset: place.offset,
            bytes: inner.reserved(tenant.bytes),
            id: entry.id(),
            label: Arc::clone(&tenant.label),
            plugin: tenant.plugin.shared_name(),
            priority: entry.priority(),
            standing: BlockStanding::of(entry),
        })
    }
}

impl BlockStanding {
    fn of(entry: &Entry<Tenant>) -> BlockStanding {
        let state = entry.residency().snapshot();
        match state.residency() {
            Residency::Resident if state.pins() > 0 => BlockStanding::Pinned,
            Residency::Resident if state.is_released() => BlockStanding::InTransit,
            Residency::Resident if entry.payload().departure == Departure::Fixed => BlockStanding::Fixed,
            Residency::Resident => BlockStanding::Idle,
            _ => BlockStanding::InTransit,
        }
    }
}
