//! Spill: the bytes of an evicted entry that exist nowhere else, kept in host memory until it comes back (C10, C11).
//!
//! They have a budget of their own. What it cannot take is not evictable: it counts as pinned when somebody needs room
//! (E1), and may be moved inside its arena like any other.
//!
//! ```text
//!   evict:        spill   charge --> take host memory --> copy from the card --> keep with the entry
//!   materialise:  restore copy to the card --> give the host memory back --> credit; dirty, as no source has the bytes
//!   release:      forget  give the host memory back --> credit
//! ```
#![allow(unsafe_code, reason = "the claim is what makes an entry's bytes readable and writable here: A2 of arena.rs")]
// A2, here: `spill` is called between `begin_evict` won and its end, `restore` between `begin_materialise` won and its
// end: the thread has the entry to itself.

mod memory;

pub(crate) use memory::Spilled;

use crate::arena::Span;
use crate::budget::Budget;
use crate::inner::Inner;
use crate::memory::DeviceError;
use crate::observe::observed::materialise_span;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch::Guard;
use freehold_core::{Bytes, Entry, HandleKey, Rank};
use memory::Spares;
use std::collections::HashSet;
use std::io;

/// Why an entry could not be written out, and stays on the card.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NotSpilled {
    #[error("the spill budget has no room for {0}")]
    OverBudget(Bytes),
    #[error("no host memory for {0}: {1}")]
    NoMemory(Bytes, io::Error),
    #[error(transparent)]
    Device(DeviceError),
}

/// The spill budget, and the memory it is spent on.
#[derive(Debug)]
pub(crate) struct SpillStore {
    pub(crate) budget: Budget,
    spares: Spares,
}

impl SpillStore {
    pub(crate) fn new(limit: Bytes) -> Self {
        SpillStore { budget: Budget::new(limit), spares: Spares::default() }
    }

    /// Charged memory for `bytes`.
    fn take(&self, bytes: Bytes) -> Result<Spilled, NotSpilled> {
        if !self.budget.charge(bytes) {
            return Err(NotSpilled::OverBudget(bytes));
        }
        self.spares.take(bytes).map_err(|reason| {
            self.budget.credit(bytes);
            NotSpilled::NoMemory(bytes, reason)
        })
    }

    /// The mirror of `take`.
    fn give_back(&self, spilled: Spilled) {
        let bytes = spilled.bytes();
        self.spares.give_back(spilled);
        self.budget.credit(bytes);
    }

    /// Gives memory that nothing is spilled in back to the system.
    pub(crate) fn trim(&self) {
        self.spares.clear();
    }
}

/// Memory that is being filled; given back where that fails, also by a panic of the device.
struct Taken<'s> {
    store: &'s SpillStore,
    spilled: Option<Spilled>,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(spilled) = self.spilled.take() {
            self.store.give_back(spilled);
        }
    }
}

/// Whether an eviction would have to write the entry's bytes out: it has no source, or was written since they came.
pub(crate) fn exists_nowhere_else(entry: &Entry<Tenant>) -> bool {
    match entry.payload().departure {
        Departure::Sourced => entry.residency().snapshot().is_dirty(),
        Departure::Spilled | Departure::Fixed => true,
    }
}

impl Inner {
    /// Writes an entry's bytes out to host memory where they exist nowhere else. On failure nothing has changed.
    pub(crate) fn spill(&self, entry: &Entry<Tenant>) -> Result<(), NotSpilled> {
        let tenant = entry.payload();
        let Some(span) = self.span(tenant).filter(|_| exists_nowhere_else(entry)) else { return Ok(()) };
        let mut taken = Taken { store: &self.spill, spilled: Some(self.spill.take(tenant.bytes)?) };
        let target = taken.spilled.as_mut().expect("just taken").as_mut_slice();
        // SAFETY: A2. The entry is claimed: nobody writes its bytes.
        unsafe { span.read(0, target, tenant.streams.before()) }.map_err(NotSpilled::Device)?;
        self.traffic.tally.spilled(tenant.bytes);
        tenant.plugin.tally().spilled(tenant.bytes);
        *tenant.spilled.lock() = taken.spilled.take();
        Ok(())
    }

    /// Copies back what was written out, and gives the host memory back. Says whether there was anything.
    pub(crate) fn restore(&self, entry: &Entry<Tenant>, span: &Span<'_>) -> Result<bool, DeviceError> {
        let tenant = entry.payload();
        if let Some(spilled) = &*tenant.spilled.lock() {
            let _span = materialise_span(entry);
            // SAFETY: A2. The claim is ours.
            unsafe { span.write(0, spilled.as_slice(), &tenant.streams) }?;
            entry.residency().mark_dirty();
        }
        Ok(self.forget_spilled(tenant))
    }

    /// Gives back the host memory of what was written out. The mirror of `spill`: what was counted last is uncounted
    /// first. Says whether there was anything.
    pub(crate) fn forget_spilled(&self, tenant: &Tenant) -> bool {
        let Some(spilled) = tenant.spilled.lock().take() else { return false };
        tenant.plugin.tally().spilled.sub(tenant.bytes.get());
        self.traffic.tally.spilled.sub(tenant.bytes.get());
        self.spill.give_back(spilled);
        // What could not be written out before can be now: whoever waits for room may find some.
        self.ring();
        true
    }
}

/// The entries that could leave but for the spill budget: as many as may are written out, in the order of leaving, and
/// these are the rest. Like a survey, a picture of one moment.
#[derive(Default)]
pub(crate) struct Unspillable(HashSet<HandleKey>);

impl Unspillable {
    /// One more scan of the table, and only where the spill budget has a limit at all.
    pub(crate) fn take(inner: &Inner, guard: &Guard) -> Self {
        if inner.spill.budget.limit() == Bytes(u64::MAX) {
            return Unspillable::default();
        }
        let may_leave = |entry: &Entry<Tenant>| {
            let (tenant, state) = (entry.payload(), entry.residency().snapshot());
            state.is_evictable() && tenant.departure != Departure::Fixed && tenant.place.get().is_some()
        };
        let leaving = inner.table.iter(guard).filter(|entry| may_leave(entry) && exists_nowhere_else(entry));
        Unspillable::beyond(
            inner.spill.budget.free(),
            leaving.map(|entry| (entry.rank(), entry.key(), entry.payload().bytes)),
        )
    }

    /// Of those that leave, the ones that do not fit into `room` when their turn comes.
    fn beyond(mut room: Bytes, leaving: impl Iterator<Item = (Rank, HandleKey, Bytes)>) -> Self {
        let mut leaving: Vec<_> = leaving.collect();
        leaving.sort_unstable_by_key(|&(rank, key, _)| (rank, key));
        let stays = |&(_, key, bytes): &(Rank, HandleKey, Bytes)| match room.get().checked_sub(bytes.get()) {
            Some(left) => {
                room = Bytes(left);
                None
            }
            None => Some(key),
        };
        Unspillable(leaving.iter().filter_map(stays).collect())
    }

    pub(crate) fn contains(&self, entry: &Entry<Tenant>) -> bool {
        !self.0.is_empty() && self.0.contains(&entry.key())
    }
}
