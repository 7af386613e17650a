//! The blocks of a survey: whose each one is, and, of those that stay, why, and what would come of it if they left.

use super::{Evictable, Standing};
use crate::arena::Place;
use crate::budget::Account;
use crate::inner::Inner;
use crate::observe::refusal::Why;
use crate::spill::{Unspillable, exists_nowhere_else};
use crate::tenant::{Departure, Tenant};
use freehold_core::compaction::Occupant;
use freehold_core::{Bytes, Entry, HandleKey, Residency};

/// A block, and whose it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resident {
    pub(crate) arena: u32,
    pub(crate) key: HandleKey,
    /// A wall, unless it may be moved.
    pub(crate) block: Occupant,
}

/// A block that stays: a wall, or one that may only move.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Staying {
    pub(crate) resident: Resident,
    /// Whether nobody uses it now: with moves on it may move.
    pub(crate) unused: bool,
    pub(crate) why: Why,
    /// Its priority, where nothing else keeps it: it would leave for who asked with that.
    pub(crate) outranks: Option<i32>,
    /// What it would give back, if it left.
    pub(crate) gives: Evictable,
    /// Whether it would surely leave for room once nobody used it.
    pub(crate) leaves_unused: bool,
}

/// What keeps an entry on the card that nobody uses, and that may leave as far as it itself is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// It ranks above who asks, with this priority.
    Above(i32),
    /// The spill budget has no room for its bytes.
    Unspillable,
    /// Both: neither a higher priority nor a larger spill budget is enough by itself.
    Twice,
}

impl Kept {
    pub(super) fn of(entry: &Entry<Tenant>, unspillable: &Unspillable, ceiling: i32) -> Option<Kept> {
        let priority = entry.priority();
        match (priority > ceiling, unspillable.contains(entry)) {
            (true, true) => Some(Kept::Twice),
            (true, false) => Some(Kept::Above(priority)),
            (false, true) => Some(Kept::Unspillable),
            (false, false) => None,
        }
    }

    fn ranks_above(self) -> bool {
        self != Kept::Unspillable
    }
}

impl Resident {
    pub(crate) fn of(inner: &Inner, entry: &Entry<Tenant>, standing: Standing) -> Option<Resident> {
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
    pub(super) fn of(
        inner: &Inner,
        entry: &Entry<Tenant>,
        resident: Resident,
        account: Option<&Account>,
        unused: bool,
        kept: Option<Kept>,
    ) -> Staying {
        let tenant = entry.payload();
        let mut gives = Evictable::default();
        gives.add(tenant, resident.block.bytes, account);
        let spilled_freely = inner.spill.budget.limit() == Bytes(u64::MAX);
        let outranks = match kept {
            Some(Kept::Above(priority)) if unused && tenant.departure != Departure::Fixed => Some(priority),
            _ => None,
        };
        let leaves_unused = tenant.departure != Departure::Fixed
            && !kept.is_some_and(Kept::ranks_above)
            && (spilled_freely || !exists_nowhere_else(entry));
        Staying { resident, unused, why: Why::of(entry, unused, kept), outranks, gives, leaves_unused }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.resident.block.bytes
    }
}

impl Why {
    fn of(entry: &Entry<Tenant>, unused: bool, kept: Option<Kept>) -> Why {
        match (entry.residency().snapshot().residency(), entry.payload().departure) {
            (Residency::Materialising, _) => Why::Arriving,
            (Residency::Evicting, _) => Why::Leaving,
            (_, Departure::Fixed) => Why::Fixed,
            _ if unused && kept.is_some_and(Kept::ranks_above) => Why::RanksHigher,
            _ if unused => Why::Unspillable,
            _ => Why::Pinned,
        }
    }
}
