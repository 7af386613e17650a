//! A survey: one scan of the table that serves a whole round of making room.
//!
//! It is a picture of one moment: what it says may leave is claimed one by one afterwards, and what it says cannot may be
//! unpinned meanwhile. While nobody else is at work it is exact.

use crate::error::Error;
use crate::manager::Inner;
use crate::room::{Candidate, Want};
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Entry, Victim, Victims};
use std::sync::Arc;

/// What may leave, in order, and what stands in the way.
pub(crate) struct Survey {
    pub(crate) victims: Victims,
    evictable: u64,
    pinned: u64,
    /// Blocks that stay where they are: arena, start, end. In no order.
    walls: Vec<(u32, u64, u64)>,
}

/// What an entry is to somebody who needs room.
enum Standing {
    /// It has no memory.
    Nothing,
    /// It may leave.
    Evictable,
    /// It stays: pinned, on its way in or out, or fixed.
    Stays,
}

fn standing(entry: &Entry<Tenant>) -> Standing {
    let (tenant, state) = (entry.payload(), entry.residency().snapshot());
    if tenant.place.get().is_none() {
        return Standing::Nothing;
    }
    if state.is_evictable() && tenant.departure != Departure::Fixed { Standing::Evictable } else { Standing::Stays }
}

impl Survey {
    pub(crate) fn take(inner: &Inner) -> Self {
        let guard = epoch::pin();
        let (mut evictable, mut pinned, mut walls) = (0, 0, Vec::new());
        let victims = Victims::gather(inner.table.iter(&guard).filter_map(|entry| {
            let tenant = entry.payload();
            let bytes = inner.reserved(tenant.bytes);
            match standing(entry) {
                Standing::Nothing => None,
                Standing::Evictable => {
                    evictable += bytes.get();
                    Some(Victim { rank: entry.rank(), key: entry.key(), bytes })
                }
                Standing::Stays => {
                    pinned += bytes.get();
                    let wall = tenant
                        .place
                        .get()
                        .map(|place| (place.arena, place.offset.get(), place.offset.get() + bytes.get()));
                    walls.extend(wall);
                    None
                }
            }
        }));
        Survey { victims, evictable, pinned, walls }
    }

    /// E1: fails, before anybody is evicted, unless the bytes suffice and some run of an arena without a block that stays
    /// is long enough once everything that may leave has left.
    pub(crate) fn satisfiable(&self, inner: &Inner, want: &Want<'_>) -> Result<(), Error> {
        let charged_elsewhere = want.account.is_some();
        let enough = inner.budget.free().get() + self.evictable >= want.bytes.get() || charged_elsewhere;
        let mut walls = self.walls.clone();
        walls.sort_unstable();
        let fits = (0..).zip(inner.arenas.iter()).any(|(index, arena)| {
            let walls = walls.iter().filter(|wall| wall.0 == index).map(|&(_, start, end)| (start, end));
            has_run(walls, arena.buddy().capacity().get(), want)
        });
        if enough && fits { Ok(()) } else { Err(self.refusal(inner, want)) }
    }

    /// The error with the numbers of this moment.
    pub(crate) fn refusal(&self, inner: &Inner, want: &Want<'_>) -> Error {
        let holes = inner.arenas.iter().map(|arena| arena.buddy().largest_hole());
        Error::OutOfMemory {
            requested: want.bytes,
            free: inner.budget.free(),
            largest_hole: holes.max().unwrap_or(Bytes::ZERO),
            evictable: Bytes(self.evictable),
            pinned: Bytes(self.pinned),
        }
    }
}

/// Whether an arena has a run without walls, long enough for `want` at its alignment. `walls` come by address.
fn has_run(walls: impl Iterator<Item = (u64, u64)>, capacity: u64, want: &Want<'_>) -> bool {
    let mut start = 0_u64;
    for (wall, end) in walls.chain([(capacity, capacity)]) {
        let aligned = start.next_multiple_of(want.align.get());
        if aligned.checked_add(want.bytes.get()).is_some_and(|needed| needed <= wall) {
            return true;
        }
        start = start.max(end);
    }
    false
}

impl Inner {
    /// All that may leave now, in the order of leaving.
    pub(crate) fn leaving_order(&self) -> Vec<Candidate> {
        let guard = epoch::pin();
        let evictable = self.table.iter(&guard).filter(|entry| matches!(standing(entry), Standing::Evictable));
        let mut order: Vec<Candidate> = evictable.map(Candidate::of).collect();
        order.sort_unstable_by_key(|candidate| candidate.rank);
        order
    }
}

impl Candidate {
    pub(crate) fn of(entry: &Entry<Tenant>) -> Self {
        let tenant = entry.payload();
        Candidate {
            key: entry.key(),
            id: entry.id(),
            label: Arc::clone(&tenant.label),
            bytes: tenant.bytes,
            rank: entry.rank(),
        }
    }
}
