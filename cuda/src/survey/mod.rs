//! A survey: one scan of the table that serves a whole round of making room.
//!
//! It is a picture of one moment: what it says may leave is claimed one by one afterwards, and what it says cannot may be
//! unpinned meanwhile. While nobody else is at work it is exact.

mod blocks;
mod evictable;

pub(crate) use blocks::{Kept, Resident, Staying};
pub(crate) use evictable::Evictable;

use crate::budget::Account;
use crate::inner::Inner;
use crate::observe::refusal::EvictableAt;
use crate::picture::Picture;
use crate::policy::Order;
use crate::room::Candidate;
use crate::spill::Unspillable;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Entry, Victim, Victims};
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

/// What an entry is to somebody who needs room.
#[derive(Clone, Copy)]
pub(crate) enum Standing {
    /// It has no memory.
    Nothing,
    /// It may leave.
    Evictable,
    /// It stays on the card, but nobody uses it now: fixed, too much for the spill budget or above the asker, and not pinned.
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
    /// What may leave but for the spill budget, or for its priority, stays, and may be moved.
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
    /// What is charged to `account` counts as the request's own. Who is of a priority above `ceiling` stays.
    pub(crate) fn take(inner: &Inner, account: Option<&Account>, ceiling: i32) -> Self {
        let guard = epoch::pin();
        let now = inner.tick();
        let (mut evictable, mut by_priority) = (Evictable::default(), Vec::new());
        let (mut staying, mut blocks) = (Vec::new(), Vec::new());
        // SeqCst: see `Waiting`; whoever waits made its mark before it called us.
        let look = if inner.waiting.load(SeqCst) > 0 { standing_marked } else { standing };
        let unspillable = Unspillable::take(inner, &guard);
        let victims = Victims::gather(inner.table.iter(&guard).filter_map(|entry| {
            let kept = Kept::of(entry, &unspillable, ceiling);
            let standing = look(entry).unless_kept(kept.is_some());
            let resident = Resident::of(inner, entry, standing);
            blocks.extend(resident);
            let bytes = inner.reserved(entry.payload().bytes);
            match standing {
                Standing::Nothing => None,
                Standing::Evictable => {
                    evictable.add(entry.payload(), bytes, account);
                    EvictableAt::add(&mut by_priority, entry.priority(), bytes);
                    Some(Victim { rank: Order::of(&inner.policy, entry, now), key: entry.key(), bytes })
                }
                Standing::Movable | Standing::Wall => {
                    let unused = matches!(standing, Standing::Movable);
                    staying.extend(resident.map(|resident| Staying::of(inner, entry, resident, account, unused, kept)));
                    None
                }
            }
        }));
        staying.sort_unstable_by_key(|staying| (staying.resident.arena, staying.resident.block.offset));
        Survey { victims, evictable, by_priority, staying, blocks, pictures: Vec::new(), outdated: false }
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
            label: tenant.label.shared(),
            bytes: tenant.bytes,
            rank: entry.rank(),
        }
    }
}
