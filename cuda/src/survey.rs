//! A survey: one scan of the table that serves a whole round of making room.
//!
//! It is a picture of one moment: what it says may leave is claimed one by one afterwards, and what it says cannot may be
//! unpinned meanwhile. While nobody else is at work it is exact.

use crate::arena::Place;
use crate::budget::{Account, Charge};
use crate::inner::Inner;
use crate::observe::refusal::{EvictableAt, Why};
use crate::picture::Picture;
use crate::policy::Order;
use crate::room::Candidate;
use crate::spill::{Unspillable, exists_nowhere_else};
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::compaction::Occupant;
use freehold_core::{Bytes, Entry, HandleKey, Residency, Victim, Victims};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// What may leave, in order, and what stands in the way.
pub(crate) struct Survey {
    pub(crate) victims: Victims<64, Order>,
    /// What may leave, by whose bytes it would give back.
    pub(crate) evictable: Evictable,
    /// The same by priority, in no order.
    pub(crate) by_priority: Vec<EvictableAt>,
    /// Blocks that stay on the card, by address.
    pub(crate) staying: Vec<Staying>,
    /// Every block, and whose it is.
    pub(crate) blocks: Vec<Resident>,
    /// Of the arenas that were looked at for a hole.
    pub(crate) pictures: Vec<Picture>,
    /// Whether `blocks` and `pictures` are of the past.
    pub(crate) outdated: bool,
}

/// Bytes that may leave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evictable {
    /// Charged to the budget.
    pub(crate) budget: u64,
    /// Charged to the reservation that the request draws from.
    pub(crate) account: u64,
    /// Charged to others: evicting them makes room, and lets nobody else be charged.
    pub(crate) others: u64,
}

/// A block that stays: a wall, or one that may only move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staying {
    pub(crate) arena: u32,
    pub(crate) block: Occupant,
    /// Whether nobody uses it now: with moves on it may move.
    pub(crate) unused: bool,
    pub(crate) key: HandleKey,
    pub(crate) why: Why,
    /// What it would give back, if it left.
    pub(crate) gives: Evictable,
    /// Whether it would surely leave for room once nobody used it.
    pub(crate) leaves_unused: bool,
}

/// A block, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) arena: u32,
    pub(crate) key: HandleKey,
    /// A wall, unless it may be moved.
    pub(crate) block: Occupant,
}

/// Priorities told apart: what has yet another one is counted with the last.
const PRIORITIES: usize = 32;

/// What an entry is to somebody who needs room.
pub(crate) enum Standing {
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

pub(crate) fn standing(entry: &Entry<Tenant>) -> Standing {
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
        let (mut evictable, mut by_priority) = (Evictable::default(), Vec::new());
        let (mut staying, mut blocks) = (Vec::new(), Vec::new());
        // SeqCst: see `Waiting`; whoever waits made its mark before it called us.
        let look = if inner.waiting.load(SeqCst) > 0 { standing_marked } else { standing };
        let unspillable = Unspillable::take(inner, &guard);
        let victims = Victims::gather(inner.table.iter(&guard).filter_map(|entry| {
            let standing = look(entry).unless_kept(unspillable.contains(entry));
            blocks.extend(Resident::of(inner, entry, &standing));
            let bytes = inner.reserved(entry.payload().bytes);
            match standing {
                Standing::Nothing => return None,
                Standing::Evictable => {
                    evictable.add(entry.payload(), bytes, account);
                    EvictableAt::add(&mut by_priority, entry.priority(), bytes);
                    return Some(Victim { rank: Order::of(&inner.policy, entry, now), key: entry.key(), bytes });
                }
                Standing::Movable => staying.extend(Staying::of(inner, entry, account, true)),
                Standing::Wall => staying.extend(Staying::of(inner, entry, account, false)),
            }
            None
        }));
        staying.sort_unstable_by_key(|staying| (staying.arena, staying.block.offset));
        Survey { victims, evictable, by_priority, staying, blocks, pictures: Vec::new(), outdated: false }
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

    pub(crate) fn sum(self) -> Bytes {
        Bytes(self.budget + self.account + self.others)
    }
}

impl Evictable {
    /// Of those, what is charged to reservations.
    pub(crate) fn reserved(self) -> u64 {
        self.account + self.others
    }
}

impl EvictableAt {
    fn add(sums: &mut Vec<EvictableAt>, priority: i32, bytes: Bytes) {
        let at = match sums.iter().position(|sum| sum.priority == priority) {
            Some(at) => at,
            None if sums.len() == PRIORITIES => PRIORITIES - 1,
            None => {
                sums.push(EvictableAt { priority, entries: 0, bytes: Bytes::ZERO });
                sums.len() - 1
            }
        };
        sums[at].entries += 1;
        sums[at].bytes = sums[at].bytes + bytes;
    }
}

impl Resident {
    pub(crate) fn of(inner: &Inner, entry: &Entry<Tenant>, standing: &Standing) -> Option<Resident> {
        let tenant = entry.payload();
        let Place { arena, offset, .. } = tenant.place.get()?;
        let movable = match standing {
            Standing::Nothing => return None,
            Standing::Evictable | Standing::Movable => inner.moves,
            Standing::Wall => false,
        };
        let (bytes, align) = (inner.reserved(tenant.bytes), tenant.align.max(inner.granule));
        Some(Resident { arena, key: entry.key(), block: Occupant { offset, bytes, align, movable } })
    }
}

impl Staying {
    fn of(inner: &Inner, entry: &Entry<Tenant>, account: Option<&Account>, unused: bool) -> Option<Staying> {
        let tenant = entry.payload();
        let Place { arena, offset, .. } = tenant.place.get()?;
        let (bytes, align) = (inner.reserved(tenant.bytes), tenant.align.max(inner.granule));
        let mut gives = Evictable::default();
        gives.add(tenant, bytes, account);
        let block = Occupant { offset, bytes, align, movable: unused && inner.moves };
        let why = Why::of(entry, unused);
        let spilled_freely = inner.spill.budget.limit() == Bytes(u64::MAX);
        let leaves_unused = tenant.departure != Departure::Fixed && (spilled_freely || !exists_nowhere_else(entry));
        Some(Staying { arena, block, unused, key: entry.key(), why, gives, leaves_unused })
    }
}

impl Why {
    fn of(entry: &Entry<Tenant>, unused: bool) -> Why {
        match (entry.residency().snapshot().residency(), entry.payload().departure) {
            (Residency::Materialising, _) => Why::Arriving,
            (Residency::Evicting, _) => Why::Leaving,
            (_, Departure::Fixed) => Why::Fixed,
            _ if unused => Why::Unspillable,
            _ => Why::Pinned,
        }
    }
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
