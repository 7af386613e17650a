//! A census: one scan of the table and the arenas, for what nobody counts as it happens.

use super::statistics::{PriorityStatistics, Residents, Share, Statistics};
use crate::inner::Inner;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Entry, Residency};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

/// Fills in who is where, by priority too, the free pieces, and what of the budget is free.
pub(super) fn count(inner: &Inner, statistics: &mut Statistics) {
    let mut priorities = BTreeMap::<i32, PriorityStatistics>::new();
    let mut held_of_budget = 0;
    let guard = epoch::pin();
    for entry in inner.table.iter(&guard) {
        let tenant = entry.payload();
        statistics.residency.count(entry);
        let at = priorities.entry(entry.priority()).or_default();
        at.entries.add(tenant.bytes);
        if let Some(place) = tenant.place.get() {
            at.resident.add(tenant.bytes);
            held_of_budget +=
                if place.charge == crate::budget::Charge::Budget { inner.reserved(tenant.bytes).get() } else { 0 };
        }
    }
    for (&priority, done) in &*inner.observed.priorities.lock() {
        let at = priorities.entry(priority).or_default();
        (at.loads, at.load_bytes) = (done.loads, done.load_bytes);
        (at.evictions, at.evicted_bytes) = (done.evictions, done.evicted_bytes);
        (at.moves, at.moved_bytes) = (done.moves, done.moved_bytes);
    }
    statistics.priorities =
        priorities.into_iter().map(|(priority, at)| PriorityStatistics { priority, ..at }).collect();
    free_pieces(inner, statistics);
    let headroom = &mut statistics.admission;
    headroom.budget = inner.traffic.budget.limit().get();
    headroom.charged = inner.traffic.budget.used().get();
    headroom.set_aside = headroom.charged.saturating_sub(held_of_budget);
    headroom.lent = (inner.traffic.budget.whole() - inner.traffic.budget.limit()).get();
    headroom.waiting = inner.waiting.load(Relaxed) as u64; // Relaxed: a count for a report
}

/// The holes of regions in which something lies: those could go back to the device, but for that.
fn free_pieces(inner: &Inner, statistics: &mut Statistics) {
    for (_, arena) in inner.arenas.iter().filter(|(_, arena)| arena.given_out().get() > 0) {
        arena.buddy().holes(|_, bytes| {
            statistics.inactive_split.all.current += 1;
            statistics.inactive_split_bytes.all.current += bytes.get();
        });
    }
}

impl Residents {
    fn count(&mut self, entry: &Entry<Tenant>) {
        let (tenant, state) = (entry.payload(), entry.residency().snapshot());
        self.place_of(state.residency(), state.pins() > 0).add(tenant.bytes);
        if tenant.departure == Departure::Fixed {
            self.fixed.add(tenant.bytes);
        }
        if tenant.consumers.load(Relaxed) > 1 {
            self.shared.add(tenant.bytes); // Relaxed: a count for a report
        }
        // One that is being written out or read back at this moment is on its way.
        if tenant.spilled.try_lock().is_some_and(|spilled| spilled.is_some()) {
            self.spilled.add(tenant.bytes);
        }
    }

    fn place_of(&mut self, residency: Residency, pinned: bool) -> &mut Share {
        match residency {
            Residency::Resident if pinned => &mut self.pinned,
            Residency::Resident => &mut self.resident,
            Residency::Materialising => &mut self.materialising,
            Residency::Evicting => &mut self.evicting,
            _ => &mut self.absent,
        }
    }
}
