//! The order of a survey: priority, then the policy's score, then id; the smallest leaves first.

use super::{EntryFacts, Policy};
use crate::tenant::Tenant;
use freehold_core::{Entry, Rank};

/// Where an entry stands in the order of leaving. As [`Rank`], with the policy's score in place of the last use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order {
    pub(crate) priority: i32,
    score: u64,
    id: u64,
}

impl Order {
    /// In how many ticks a policy that predicts says that it is needed.
    pub(crate) fn next_use(&self) -> u64 {
        u64::MAX - self.score
    }

    pub(crate) fn of(policy: &Policy, entry: &Entry<Tenant>, now: u64) -> Order {
        let Rank { priority, last_use, id } = entry.rank();
        let score = match policy {
            Policy::PriorityLru => last_use,
            Policy::PriorityNextUse => u64::MAX - next_use(entry.payload(), last_use, now),
            Policy::Custom(order) => order.score(&facts(entry, last_use, now)),
        };
        Order { priority, score, id }
    }
}

/// In how many ticks the entry is needed, as far as its plugin's rhythm tells; one that was never used, only loaded, is
/// taken to stay away as long again as it has been there.
fn next_use(tenant: &Tenant, last_use: u64, now: u64) -> u64 {
    match (tenant.beat.get(), tenant.plugin.rhythm()) {
        (Some(beat), Some(rhythm)) => rhythm.predict(beat, now),
        _ => now.saturating_sub(last_use),
    }
}

fn facts(entry: &Entry<Tenant>, last_use: u64, now: u64) -> EntryFacts<'_> {
    let tenant = entry.payload();
    EntryFacts {
        key: entry.key(),
        id: entry.id(),
        label: &tenant.label,
        plugin: tenant.plugin.name(),
        bytes: tenant.bytes,
        last_use,
        now,
    }
}
