//! A refusal: why there is no room, in numbers that are those of the books, and what to try.
//!
//! It is drawn from the survey that refused, so everything in it is of one moment; while nobody else is at work it is exact.
//! It is made for who is refused, and costs nobody else anything. How it is said: `words.rs`.

use crate::floor::Floor;
use crate::inner::Inner;
use crate::place::Want;
use crate::suppose::Supposing;
use crate::survey::Survey;
use crossbeam_epoch as epoch;
use freehold_core::Bytes;
use std::sync::Arc;

/// What stood in the way of a request. Printed by [`Error::OutOfMemory`](crate::Error::OutOfMemory); its parts are for programs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// What was missing.
    pub because: Because,
    /// Who asked.
    pub plugin: Arc<str>,
    /// The priority it asked with, where that bounds whom it may evict: under [`Floor::Requester`](crate::Floor::Requester).
    pub priority: Option<i32>,
    /// The bytes that may be charged at most.
    pub budget: Bytes,
    /// What of the budget is lent to somebody outside ([`handover`](crate::VramManager::handover)).
    pub lent: Bytes,
    /// What reservations and leases hold back and nobody uses: the headroom of admission.
    pub set_aside: Bytes,
    /// What may leave for this request, lowest priority first.
    pub evictable: Vec<EvictableAt>,
    /// What stays, whose and why, most bytes first.
    pub holders: Vec<Holder>,
    /// What would help, the least first. Each by itself is enough while nobody else is at work.
    pub advice: Vec<Advice>,
}

/// What a request would still miss with all gone that may leave: bytes, or a piece long enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Because {
    /// Bytes: the rest stays, is set aside or is lent.
    TooFew {
        /// The most that could be charged for it.
        at_most: Bytes,
    },
    /// A piece: there would be bytes enough, but what stays lies between them, and where blocks may be moved, not out of the way.
    InPieces {
        /// The longest piece between what stays.
        longest: Bytes,
    },
}

impl Default for Because {
    fn default() -> Self {
        Because::TooFew { at_most: Bytes::ZERO }
    }
}

/// What may leave at one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvictableAt {
    /// The priority.
    pub priority: i32,
    /// How many entries.
    pub entries: u64,
    /// Their bytes, in whole granules.
    pub bytes: Bytes,
}

/// What stays on the card for one reason and one plugin.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Holder {
    /// Whose it is.
    pub plugin: Arc<str>,
    /// Why it stays.
    pub why: Why,
    /// How many entries.
    pub entries: u64,
    /// Their bytes, in whole granules.
    pub bytes: Bytes,
    /// The label of the largest.
    pub largest: Arc<str>,
}

/// Why an entry stays on the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Why {
    /// Somebody uses it.
    Pinned,
    /// It was declared [`fixed`](crate::Allocation::fixed).
    Fixed,
    /// Its bytes exist nowhere else, and the spill budget has no room for them.
    Unspillable,
    /// It ranks higher than who asks, whom the manager's [`Floor`](crate::Floor) lets evict nobody above.
    RanksHigher,
    /// Its bytes are on their way in.
    Arriving,
    /// It is leaving, or being moved.
    Leaving,
}

/// Something that would let the request in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Advice {
    /// Wait: what is on its way in or out, once settled, makes room enough.
    Wait {
        /// Its bytes.
        bytes: Bytes,
    },
    /// Ask with this priority, or a higher one: the floor of the manager keeps from who asks what ranks above it.
    AskWithPriority {
        /// The lowest that is enough.
        priority: i32,
    },
    /// Unpin this one entry.
    Unpin {
        /// Whose it is.
        plugin: Arc<str>,
        /// Its label.
        label: Arc<str>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Unpin everything of a plugin, or of all where it is `None`.
    UnpinAll {
        /// Whose.
        plugin: Option<Arc<str>>,
        /// Its bytes.
        bytes: Bytes,
    },
    /// Let blocks be moved: [`moves`](crate::VramManagerBuilder::moves) is off, and another layout would do.
    AllowMoves,
    /// Give the spill budget so much more.
    RaiseSpillBudget {
        /// By how much.
        by: Bytes,
    },
    /// End reservations: so much of what they set aside, and nobody uses, would be enough. One with an entry in it ends with that.
    EndReservations {
        /// How much is needed.
        bytes: Bytes,
    },
    /// End a handover, or lend less.
    EndHandover {
        /// How much is needed back.
        bytes: Bytes,
    },
    /// Raise the budget. What the device says to that is not known before it is asked.
    RaiseBudget {
        /// By how much.
        by: Bytes,
    },
    /// Ask for less at once: split it.
    AskForLess {
        /// The most that would be had in one piece.
        at_most: Bytes,
    },
}

impl Refusal {
    pub(crate) fn of(survey: &Survey, inner: &Inner, want: &Want<'_>) -> Refusal {
        let mut evictable = survey.by_priority.clone();
        evictable.sort_unstable_by_key(|at| at.priority);
        Refusal {
            because: Because::of(survey, inner, want),
            plugin: want.plugin.shared_name(),
            priority: (inner.floor == Floor::Requester).then_some(want.ceiling),
            budget: inner.traffic.budget.limit(),
            lent: inner.traffic.budget.whole() - inner.traffic.budget.limit(),
            set_aside: set_aside(survey, inner),
            evictable,
            holders: holders(survey, inner),
            advice: super::advice::of(survey, inner, want),
        }
    }
}

impl Because {
    fn of(survey: &Survey, inner: &Inner, want: &Want<'_>) -> Because {
        let now = Supposing::nothing(inner);
        match survey.chargeable(inner, want, now) {
            at_most if at_most < want.bytes => Because::TooFew { at_most },
            _ => Because::InPieces { longest: survey.longest_run(inner, want, now) },
        }
    }
}

/// What reservations hold and nobody uses: what is charged, but for what entries hold.
pub(super) fn set_aside(survey: &Survey, inner: &Inner) -> Bytes {
    let held = survey.staying.iter().map(|staying| staying.gives.budget).sum::<u64>() + survey.evictable.budget;
    let reserved = survey.staying.iter().map(|staying| staying.gives.reserved()).sum::<u64>();
    let in_reservations = reserved + survey.evictable.reserved();
    Bytes(inner.traffic.budget.used().get().saturating_sub(held).saturating_sub(in_reservations))
}

/// What stays, by plugin and reason.
fn holders(survey: &Survey, inner: &Inner) -> Vec<Holder> {
    let guard = epoch::pin();
    let mut holders: Vec<(Holder, Bytes)> = Vec::new();
    for staying in &survey.staying {
        let (why, bytes) = (staying.why, staying.bytes());
        let tenant = inner.table.get(staying.resident.key, &guard).map(|entry| entry.payload());
        // One that is gone by now has no name any more.
        let plugin = tenant.map_or("", |tenant| tenant.plugin.name());
        let at = holders.iter().position(|(holder, _)| holder.why == why && &*holder.plugin == plugin);
        let at = at.unwrap_or_else(|| {
            let (plugin, largest) = (Arc::from(plugin), Arc::from(""));
            holders.push((Holder { plugin, why, entries: 0, bytes: Bytes::ZERO, largest }, Bytes::ZERO));
            holders.len() - 1
        });
        let (holder, largest_bytes) = &mut holders[at];
        holder.entries += 1;
        holder.bytes = holder.bytes + bytes;
        if bytes > *largest_bytes {
            *largest_bytes = bytes;
            holder.largest = tenant.map_or_else(|| Arc::from(""), |tenant| tenant.label.shared());
        }
    }
    holders.sort_by_key(|(holder, _)| (std::cmp::Reverse(holder.bytes), holder.why));
    holders.into_iter().map(|(holder, _)| holder).collect()
}
