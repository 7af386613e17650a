//! Evict: one entry's memory goes, its identity stays. The mirror of `materialise`.
#![allow(unsafe_code, reason = "the claim is what makes an entry's bytes readable here: A2 of arena.rs")]
// A2, here: between `begin_evict` won and `finish_evict` or `cancel_evict`, this thread has the entry to itself.

use crate::error::Error;
use crate::manager::Inner;
use crate::observer::Event;
use crate::room::{Candidate, Want};
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Claim, Entry, Victim};

impl Inner {
    /// Evicts `victim` if it may still leave; says whether it did.
    pub(crate) fn evict(
        &self,
        victim: &Victim,
        want: &Want<'_>,
        told: &mut Vec<Event>,
        left: &mut Vec<Candidate>,
    ) -> bool {
        let guard = epoch::pin();
        let Some(entry) = self.table.get(victim.key, &guard) else { return false };
        if entry.residency().begin_evict() != Claim::Won {
            return false;
        }
        let tenant = entry.payload();
        if let Err(error) = self.write_out(entry) {
            tracing::warn!(%error, label = &*tenant.label, "an entry could not be written out and stays");
            self.settle(entry, entry.residency().cancel_evict());
            return false;
        }
        left.push(Candidate { rank: victim.rank, ..Candidate::of(entry) });
        let plugin = tenant.plugin.shared_name();
        told.push(Event::Evicted {
            id: entry.id(),
            bytes: tenant.bytes,
            plugin,
            rank: victim.rank,
            needed: want.bytes,
        });
        self.tally.evicted(tenant.bytes);
        tenant.plugin.tally().evicted(tenant.bytes);
        self.free_place(tenant);
        self.settle(entry, entry.residency().finish_evict());
        true
    }

    /// Copies the bytes to host memory where they exist nowhere else: no source, or written since they came (C10, C11).
    fn write_out(&self, entry: &Entry<Tenant>) -> Result<(), Error> {
        let tenant = entry.payload();
        if tenant.departure == Departure::Sourced && !entry.residency().snapshot().is_dirty() {
            return Ok(());
        }
        let Some(span) = self.span(tenant) else { return Ok(()) };
        let mut copy = vec![0; tenant.bytes.get() as usize].into_boxed_slice();
        // SAFETY: A2. The entry is claimed: nobody writes its bytes.
        unsafe { span.read(0, &mut copy) }?;
        *tenant.spilled.lock() = Some(copy);
        Ok(())
    }
}
