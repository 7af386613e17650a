//! The blocks of a survey: whose each one is, and, of those that stay, why, and what would come of it if they left.

use super::{Evictable, Standing};
use crate::arena::Place;
use crate::budget::Account;
use crate::inner::Inner;
use crate::observe::refusal::Why;
use crate::spill::exists_nowhere_else;
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
    /// What it would give back, if it left.
    pub(crate) gives: Evictable,
    /// Whether it would surely leave for room once nobody used it.
    pub(crate) leaves_unused: bool,
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
    ) -> Staying {
        let tenant = entry.payload();
        let mut gives = Evictable::default();
        gives.add(tenant, resident.block.bytes, account);
        let spilled_freely = inner.spill.budget.limit() == Bytes(u64::MAX);
        let leaves_unused = tenant.departure != Departure::Fixed && (spilled_freely || !exists_nowhere_else(entry));
        Staying { resident, unused, why: Why::of(entry, unused), gives, leaves_unused }
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.resident.block.bytes
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
