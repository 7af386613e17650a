//! Evict: one entry's memory goes, its identity stays. The mirror of `materialise`.

use crate::inner::Inner;
use crate::leaving::Leaving;
use crate::observer::Event;
use crate::place::Want;
use crate::policy::Order;
use crate::room::Candidate;
use crate::spill::NotSpilled;
use crossbeam_epoch as epoch;
use freehold_core::{Rank, Victim};

impl Inner {
    /// Evicts `victim` if it may still leave; says whether it did.
    pub(crate) fn evict(
        &self,
        victim: &Victim<Order>,
        want: &Want<'_>,
        told: &mut Vec<Event>,
        left: &mut Vec<Candidate>,
    ) -> bool {
        let guard = epoch::pin();
        let Some(entry) = self.table.get(victim.key, &guard) else { return false };
        // Priorities change: who was raised above the asker since the survey stays.
        if victim.rank.priority.max(entry.priority()) > want.ceiling {
            return false;
        }
        let Some(leaving) = Leaving::begin(self, entry) else { return false };
        let tenant = leaving.tenant();
        let (bytes, label, plugin) = (tenant.bytes.get(), &*tenant.label, tenant.plugin.name());
        let _span =
            tracing::debug_span!("evict", id = entry.id(), bytes, label, plugin, needed = want.bytes.get()).entered();
        if let Err(error) = self.spill(entry) {
            // Over the budget is no news: the survey counted it among what stays, unless it was written to since.
            if !matches!(error, NotSpilled::OverBudget(_)) {
                tracing::warn!(%error, label = &*tenant.label, "an entry could not be written out and stays");
            }
            return false;
        }
        // The priority it was chosen by, which may have been changed since.
        let rank = Rank { priority: victim.rank.priority, ..entry.rank() };
        left.push(Candidate { rank, ..Candidate::of(entry) });
        let plugin = tenant.plugin.shared_name();
        let needed_by = want.plugin.shared_name();
        told.push(Event::Evicted { id: entry.id(), bytes: tenant.bytes, plugin, rank, needed: want.bytes, needed_by });
        self.saw_evicted(entry, rank.priority, want);
        leaving.left();
        true
    }
}
