//! A survey: one scan of the table that serves a whole round of making room.
//!
//! It is a picture of one moment: what it says may leave is claimed one by one afterwards, and what it says cannot may be
//! unpinned meanwhile. While nobody else is at work it is exact.

use crate::arena::Place;
use crate::budget::{Account, Charge};
use crate::error::Error;
use crate::inner::Inner;
use crate::place::Want;
use crate::policy::Order;
use crate::room::Candidate;
use crate::spill::Unspillable;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::compaction::{Layout, Occupant};
use freehold_core::{Bytes, Entry, Offset, Victim, Victims};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// What may leave, in order, and what stands in the way.
pub(crate) struct Survey {
    pub(crate) victims: Victims<64, Order>,
    /// What may leave, by whose bytes it would give back.
    evictable: Evictable,
    /// Blocks that stay on the card, by address.
    staying: Vec<Staying>,
}

/// Bytes that may leave.
#[derive(Clone, Copy, Debug, Default)]
struct Evictable {
    /// Charged to the budget.
    budget: u64,
    /// Charged to the reservation that the request draws from.
    account: u64,
    /// Charged to others: evicting them makes room, and lets nobody else be charged.
    others: u64,
}

/// A block that stays: a wall, or one that may only move.
#[derive(Clone, Copy, Debug)]
struct Staying {
    arena: u32,
    block: Occupant,
}

/// What an entry is to somebody who needs room.
enum Standing {
    /// It has no memory.
    Nothing,
    /// It may leave.
    Evictable,
    /// It stays on the card, but nobody uses it now: fixed, or too much for the spill budget, and not pinned.
    Movable,
    /// It stays where it is: pinned, or on its way in or out.
    Wall,
}

/// Where somebody waits for memory, what is in the way is marked, so that it rings when it no longer is. What is out of
/// the way by the time it is to be marked counts as that; a released block rings when it is freed.
fn standing_marked(entry: &Entry<Tenant>) -> Standing {
    let standing = standing(entry);
    if !matches!(standing, Standing::Wall) || entry.residency().want_unpinned() == freehold_core::Want::Wait {
        return standing;
    }
    let released = entry.residency().snapshot().is_released();
    if released { Standing::Wall } else { entry.payload().departure.unused() }
}

fn standing(entry: &Entry<Tenant>) -> Standing {
    let (tenant, state) = (entry.payload(), entry.residency().snapshot());
    if tenant.place.get().is_none() {
        return Standing::Nothing;
    }
    if state.is_evictable() { tenant.departure.unused() } else { Standing::Wall }
}

impl Standing {
    /// What may leave but for the spill budget stays, and may be moved.
    fn unless_kept(self, kept: bool) -> Standing {
        if kept && matches!(self, Standing::Evictable) { Standing::Movable } else { self }
    }
}

impl Departure {
    /// What an entry of this kind is while nobody uses it.
    fn unused(self) -> Standing {
        if self == Departure::Fixed { Standing::Movable } else { Standing::Evictable }
    }
}

impl Survey {
    /// What is charged to `account` counts as the request's own.
    pub(crate) fn take(inner: &Inner, account: Option<&Account>) -> Self {
        let guard = epoch::pin();
        let now = inner.tick();
        let (mut evictable, mut staying) = (Evictable::default(), Vec::new());
        // SeqCst: see `Waiting`; whoever waits made its mark before it called us.
        let look = if inner.waiting.load(SeqCst) > 0 { standing_marked } else { standing };
        let unspillable = Unspillable::take(inner, &guard);
        let victims = Victims::gather(inner.table.iter(&guard).filter_map(|entry| {
            let bytes = inner.reserved(entry.payload().bytes);
            match look(entry).unless_kept(unspillable.contains(entry)) {
                Standing::Nothing => return None,
                Standing::Evictable => {
                    evictable.add(entry.payload(), bytes, account);
                    return Some(Victim { rank: Order::of(&inner.policy, entry, now), key: entry.key(), bytes });
                }
                Standing::Movable => staying.extend(Staying::of(inner, entry.payload(), inner.moves)),
                Standing::Wall => staying.extend(Staying::of(inner, entry.payload(), false)),
            }
            None
        }));
        staying.sort_unstable_by_key(|staying| (staying.arena, staying.block.offset));
        Survey { victims, evictable, staying }
    }

    /// E1: fails, before anybody is evicted, unless the bytes suffice and some run of an arena without a wall is long enough
    /// once everything that may leave has left, and what may only move has moved.
    pub(crate) fn satisfiable(&self, inner: &Inner, want: &Want<'_>) -> Result<(), Error> {
        // More may be charged than the limit, after the budget was lowered: what leaves then makes good for that first.
        let stays_charged = inner.budget.used().get().saturating_sub(self.evictable.budget);
        let in_budget = stays_charged.saturating_add(want.bytes.get()) <= inner.budget.limit().get();
        let from_account = want.account.map_or(0, |account| account.free().get() + self.evictable.account);
        let enough = in_budget || from_account >= want.bytes.get();
        if enough && (self.has_run(inner, want) || self.can_grow(inner, want)) {
            Ok(())
        } else {
            Err(self.refusal(inner, want))
        }
    }

    /// Whether some arena takes `want` once everything that may leave has left: in a hole, or by moving what stays. Planned,
    /// not summed: a block that may move needs a place in one piece.
    fn has_run(&self, inner: &Inner, want: &Want<'_>) -> bool {
        inner.arenas.iter().any(|(index, arena)| {
            let staying = || self.staying.iter().filter(|staying| staying.arena == index).map(|staying| staying.block);
            let holes = holes_between(staying(), arena.size());
            let fits = |&(start, bytes): &(Offset, Bytes)| {
                let aligned = start.get().next_multiple_of(want.align.get());
                aligned.saturating_add(want.bytes.get()) <= start.get() + bytes.get()
            };
            holes.iter().any(fits)
                || Layout::new(arena.size(), staying(), holes).open(want.bytes, want.align, Bytes(u64::MAX)).is_some()
        })
    }

    /// Whether a region for `want` would fit into the budget once every arena in which nothing stays was given back. What
    /// the device will say to it is not known before it is asked.
    fn can_grow(&self, inner: &Inner, want: &Want<'_>) -> bool {
        let stays = |index| self.staying.iter().any(|staying| staying.arena == index);
        let kept: u64 =
            inner.arenas.iter().filter(|&(index, _)| stays(index)).map(|(_, arena)| arena.size().get()).sum();
        let fits = kept.saturating_add(want.bytes.get()) <= inner.budget.limit().get();
        fits && inner.arenas.has_slot(want.bytes, |index| !stays(index))
    }

    /// The error with the numbers of this moment.
    pub(crate) fn refusal(&self, inner: &Inner, want: &Want<'_>) -> Error {
        let holes = inner.arenas.iter().map(|(_, arena)| arena.buddy().largest_hole());
        Error::OutOfMemory {
            requested: want.bytes,
            free: inner.budget.free(),
            largest_hole: holes.max().unwrap_or(Bytes::ZERO),
            evictable: self.evictable.sum(),
            pinned: Bytes(self.staying.iter().map(|staying| staying.block.bytes.get()).sum()),
        }
    }
}

impl Evictable {
    fn add(&mut self, tenant: &Tenant, bytes: Bytes, account: Option<&Account>) {
        let charge = tenant.place.get().map_or(Charge::Budget, |place| place.charge);
        let whose = match (charge, account) {
            (Charge::Budget, _) => &mut self.budget,
            (Charge::Reservation, Some(own)) if tenant.account.as_ref().is_some_and(|its| its.is(own)) => {
                &mut self.account
            }
            (Charge::Reservation, _) => &mut self.others,
        };
        *whose += bytes.get();
    }

    fn sum(self) -> Bytes {
        Bytes(self.budget + self.account + self.others)
    }
}

impl Staying {
    fn of(inner: &Inner, tenant: &Tenant, movable: bool) -> Option<Staying> {
        let Place { arena, offset, .. } = tenant.place.get()?;
        let (bytes, align) = (inner.reserved(tenant.bytes), tenant.align.max(inner.granule));
        Some(Staying { arena, block: Occupant { offset, bytes, align, movable } })
    }
}

/// What is left of an arena between blocks in the order of their addresses.
fn holes_between(blocks: impl Iterator<Item = Occupant>, size: Bytes) -> Vec<(Offset, Bytes)> {
    let (mut holes, mut covered) = (Vec::new(), Offset(0));
    let end = Occupant { offset: Offset(size.get()), bytes: Bytes::ZERO, align: Bytes(1), movable: false };
    for block in blocks.chain([end]) {
        if block.offset > covered {
            holes.push((covered, block.offset - covered));
        }
        // A picture taken while others are at work may show a block twice, or one in the place of another.
        covered = covered.max(block.offset + block.bytes);
    }
    holes
}

impl Inner {
    /// All that may leave now, in the order of leaving.
    pub(crate) fn leaving_order(&self) -> Vec<Candidate> {
        let guard = epoch::pin();
        let unspillable = Unspillable::take(self, &guard);
        let evictable = self
            .table
            .iter(&guard)
            .filter(|entry| matches!(standing(entry).unless_kept(unspillable.contains(entry)), Standing::Evictable));
        let now = self.tick();
        let place = |entry| (Order::of(&self.policy, entry, now), Candidate::of(entry));
        let mut order: Vec<(Order, Candidate)> = evictable.map(place).collect();
        order.sort_unstable_by_key(|&(order, _)| order);
        order.into_iter().map(|(_, candidate)| candidate).collect()
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
