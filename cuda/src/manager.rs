//! The manager: who may have memory, who must give it up, and how it comes back. The story is told here; each step has
//! a file of its own.
//!
//! ```text
//!   allocate --> tenancy --> place --> [make room: evict in order] --> fill from the source --> VramHandle
//!   access   --> pin ----------------------------- resident: nothing more -----------------> Access
//!                 \--> absent: claim --> place --> fill --> resident and pinned -------------/
//! ```

use crate::allocation::{Allocation, Backing};
use crate::arena::{Place, Span};
use crate::arenas::Arenas;
use crate::audit::{self, Books, BooksError};
use crate::budget::{Budget, Charge, Reservation};
use crate::builder::VramManagerBuilder;
use crate::clock::Clock;
use crate::close::{self, LeakReport};
use crate::error::Error;
use crate::fork;
use crate::handle::VramHandle;
use crate::memory::DeviceMemory;
use crate::observer::{Event, Observer};
use crate::plugin::{Plugin, Stats, Tally};
use crate::policy::Policy;
use crate::prefetch::Prefetcher;
use crate::room::{Candidate, Want};
use crate::spill::SpillStore;
use crate::tenancy::Tenancy;
use crate::tenant::Tenant;
use crate::weights::{self, Register};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Duty, Entry, FollowUp, Owner, Residency, Table};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

/// One budget of one device's memory, shared by plugins that know nothing of each other.
///
/// Dropping it closes it. Handles may outlive it: their use is then an error, their drop is safe (H1).
///
/// ```
/// use freehold_cuda::{Allocation, Bytes, HostBytes, VramManager};
///
/// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
/// let weights = HostBytes(vec![7; 4096].into());
/// let handle = manager.allocate(Allocation::new(Bytes(4096)).label("layer 0").source(weights))?;
/// manager.evict_for_space(Bytes(1 << 20))?; // somebody else needs the whole card
/// assert_eq!(handle.access()?.as_host_slice(), Some(&[7; 4096][..])); // and it is back
/// # Ok::<(), freehold_cuda::Error>(())
/// ```
#[derive(Debug)]
pub struct VramManager {
    inner: Arc<Inner>,
}

/// What the manager's face, its handles and its guards share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) device: Arc<dyn DeviceMemory>,
    pub(crate) arenas: Arenas,
    pub(crate) granule: Bytes,
    pub(crate) budget: Budget,
    /// How much host memory may hold what evictions wrote out.
    pub(crate) spill: SpillStore,
    pub(crate) table: Table<Tenant>,
    pub(crate) weights: Register,
    /// Whoever makes room has the turn, so that victims leave in exact order. Not taken where the request fits, on an
    /// access of a resident entry, or on a free; not held around any callback (C8).
    pub(crate) room: Mutex<()>,
    /// Rings when memory was freed or an entry that somebody waited for was unpinned.
    pub(crate) freed: event_listener::Event,
    /// How many wait for memory: while any do, surveys mark what is in the way.
    pub(crate) waiting: AtomicUsize,
    pub(crate) prefetcher: Prefetcher,
    /// Whether blocks may be moved to open a hole.
    pub(crate) moves: bool,
    pub(crate) policy: Policy,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) tally: Tally,
    pub(crate) nobody: Plugin,
    /// Relaxed: it refuses what comes later; what is under way ends by the residency words.
    pub(crate) closed: AtomicBool,
    /// The process that made the manager: a child of it may not use it (E8).
    pub(crate) forks: u64,
}

impl VramManager {
    pub(crate) fn from_inner(inner: Inner) -> Self {
        VramManager { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    /// Describes a manager: its device, its budget, its granule.
    pub fn builder() -> VramManagerBuilder {
        VramManagerBuilder::new()
    }

    /// A name for statistics. Two calls with one name make two plugins.
    #[must_use]
    pub fn plugin(&self, name: &str) -> Plugin {
        Plugin::new(name)
    }

    /// Memory for an entry, its content brought from its source (A1). Evicts in order where it does not fit (B1..B3).
    ///
    /// **Progress**: lock-free where it fits and has no source; otherwise it waits for its turn to make room, and for
    /// its source.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`], the source's own; nothing has changed then.
    pub fn allocate(&self, allocation: Allocation) -> Result<VramHandle, Error> {
        let tenancy = Arc::new(self.inner.tenancy(&allocation)?);
        self.inner.first_load(&tenancy)?;
        Ok(VramHandle::new(tenancy, None))
    }

    /// A handle whose content comes with its first access: it takes no memory now.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::BadAllocation`] for an allocation without a source, which could never come.
    pub fn register(&self, allocation: Allocation) -> Result<VramHandle, Error> {
        check_sourced(&allocation)?;
        Ok(VramHandle::new(Arc::new(self.inner.tenancy(&allocation)?), None))
    }

    /// Joins the shared weights under `key`, loading them if nobody has: one physical buffer, one load, a handle each
    /// (D1). The allocation's priority is this consumer's; the highest counts (D4).
    ///
    /// # Errors
    /// [`Error::SharedMismatch`] where they exist with another size or metadata (D6); those of
    /// [`allocate`](Self::allocate); [`Error::BadAllocation`] without a source.
    pub fn acquire_shared_weights(&self, key: &str, allocation: Allocation) -> Result<VramHandle, Error> {
        check_sourced(&allocation)?;
        weights::acquire(&self.inner, key, &allocation)
    }

    /// As [`acquire_shared_weights`](Self::acquire_shared_weights), but their content comes with the first access.
    ///
    /// # Errors
    /// As there, those of the source left out.
    pub fn register_shared_weights(&self, key: &str, allocation: Allocation) -> Result<VramHandle, Error> {
        check_sourced(&allocation)?;
        weights::register(&self.inner, key, &allocation)
    }

    /// Ends a consumer's part in shared weights, as dropping its handle does.
    pub fn release_shared_weights(&self, handle: VramHandle) {
        drop(handle);
    }

    /// Evicts in order until an allocation of `bytes` would fit, and says who left, in the order of leaving.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::OutOfMemory`]; nothing was evicted then. [`Error::Closed`].
    pub fn evict_for_space(&self, bytes: Bytes) -> Result<Vec<Candidate>, Error> {
        self.inner.check_open()?;
        self.inner.check_size(bytes)?;
        self.inner.evict_for_space(bytes)
    }

    /// The evictable entries as they would leave, first to last.
    #[must_use]
    pub fn lru_order(&self) -> Vec<Candidate> {
        self.inner.leaving_order()
    }

    /// Sets `bytes` aside: only allocations made [`within`](Allocation::within) the reservation can use them. Evicts in
    /// order until they are free, so that the headroom physically exists (P19).
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::OutOfMemory`]; nothing was evicted then. [`Error::Closed`].
    pub fn reserve(&self, bytes: Bytes) -> Result<Reservation, Error> {
        self.inner.reserve(bytes)
    }

    /// What has been counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.tally.read()
    }

    /// The bytes that may be resident at once.
    #[must_use]
    pub fn budget(&self) -> Bytes {
        self.inner.budget.limit()
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Arc<dyn DeviceMemory> {
        &self.inner.device
    }

    /// Checks the books against each other (G5): to be called while nobody else uses the manager.
    ///
    /// # Errors
    /// The first pair of books that disagree, with both figures.
    pub fn audit(&self) -> Result<Books, BooksError> {
        audit::audit(&self.inner)
    }

    /// Ends the manager: frees the memory of every handle that is still alive, and lists them (A5, H1). Whatever is
    /// pinned or on its way is freed when its last guard is dropped. Closing twice lists nothing the second time.
    pub fn close(&self) -> LeakReport {
        close::close(&self.inner)
    }
}

impl Drop for VramManager {
    fn drop(&mut self) {
        if !self.inner.is_ours() {
            return;
        }
        let report = self.close();
        if !report.live.is_empty() {
            tracing::warn!(%report, "the manager was dropped before its handles");
        }
    }
}

fn check_sourced(allocation: &Allocation) -> Result<(), Error> {
    match allocation.backing {
        Backing::Source(_) => Ok(()),
        Backing::Spill | Backing::Fixed => {
            Err(Error::BadAllocation("an entry that is not loaded at once, or is shared, needs a source"))
        }
    }
}

impl Inner {
    pub(crate) fn tick(&self) -> u64 {
        self.clock.tick()
    }

    /// A size in whole granules. What was checked by `check_size` cannot wrap.
    pub(crate) fn reserved(&self, bytes: Bytes) -> Bytes {
        bytes.checked_round_up(self.granule).unwrap_or(Bytes(u64::MAX))
    }

    /// A7: what could never fit is refused before anything else happens.
    pub(crate) fn check_size(&self, bytes: Bytes) -> Result<(), Error> {
        let capacity = self.budget.limit();
        let fits = bytes.checked_round_up(self.granule).is_some_and(|rounded| rounded <= capacity);
        if fits { Ok(()) } else { Err(Error::TooLarge { requested: bytes, capacity }) }
    }

    /// An entry for `allocation`, absent, with its owner.
    pub(crate) fn tenancy(self: &Arc<Self>, allocation: &Allocation) -> Result<Tenancy, Error> {
        self.check_process()?;
        self.check_size(allocation.bytes)?;
        self.check_align(allocation.align)?;
        let plugin = allocation.plugin.clone().unwrap_or_else(|| self.nobody.clone());
        let owner = self.table.insert(allocation.priority, self.tick(), Tenant::new(allocation, plugin));
        let tenancy = Tenancy::new(self, owner, allocation);
        // Looked at after the entry is in the table: a close that does not see the entry is seen here.
        if self.closed.load(Relaxed) { Err(Error::Closed) } else { Ok(tenancy) }
    }

    /// E8: whether this is the process that made the manager.
    pub(crate) fn is_ours(&self) -> bool {
        self.forks == fork::generation()
    }

    fn check_open(&self) -> Result<(), Error> {
        self.check_process()?;
        if self.closed.load(Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    pub(crate) fn check_process(&self) -> Result<(), Error> {
        if self.is_ours() { Ok(()) } else { Err(Error::Forked) }
    }

    fn check_align(&self, align: Bytes) -> Result<(), Error> {
        if !align.get().is_power_of_two() {
            return Err(Error::BadAllocation("an alignment is a power of two"));
        }
        if align > self.device.region_align().max(self.granule) {
            return Err(Error::BadAllocation("an alignment coarser than that of the device's regions has no meaning"));
        }
        Ok(())
    }

    /// Takes an entry out of the table; its memory has been let go before.
    pub(crate) fn retire(&self, owner: Owner<Tenant>) {
        self.table.retire(owner, &epoch::pin());
    }

    /// The memory of a tenant that the caller has pinned or claimed; `None` for one of no bytes.
    pub(crate) fn span(&self, tenant: &Tenant) -> Option<Span<'_>> {
        tenant.place.get().map(|place| self.span_at(place, tenant.bytes))
    }

    pub(crate) fn span_at(&self, place: Place, bytes: Bytes) -> Span<'_> {
        self.arenas.at(place.arena).span(place.offset, bytes)
    }

    /// Does what a change of an entry's state has left to do: frees the memory, wakes who waits.
    pub(crate) fn settle(&self, entry: &Entry<Tenant>, follow_up: FollowUp) {
        if follow_up.duty == Duty::FreeMemory {
            self.free_place(entry.payload());
        }
        if follow_up.wake {
            entry.payload().changed.notify(usize::MAX);
            self.ring();
        }
    }

    /// As `settle`, after a transition that may have ended an entry without memory: what of it was spilled goes too.
    pub(crate) fn conclude(&self, entry: &Entry<Tenant>, follow_up: FollowUp) {
        self.settle(entry, follow_up);
        if entry.residency().snapshot().residency() == Residency::Released {
            self.forget_spilled(entry.payload());
        }
    }

    /// Frees a tenant's block, where it has one. The mirror of `try_place`: what was counted last is uncounted first, so
    /// that no book ever shows more than its limit.
    pub(crate) fn free_place(&self, tenant: &Tenant) {
        let Some(place) = tenant.place.take() else { return };
        let bytes = self.reserved(tenant.bytes);
        tenant.plugin.tally().resident.sub(bytes.get());
        self.tally.resident.sub(bytes.get());
        let arena = self.arenas.at(place.arena);
        arena.note_users(place.offset, bytes, tenant.streams.everybody());
        arena.free(place.offset, bytes);
        match (place.charge, &tenant.account) {
            (Charge::Reservation, Some(account)) => account.credit(bytes),
            _ => self.budget.credit(bytes),
        }
        self.ring();
    }

    fn reserve(self: &Arc<Self>, bytes: Bytes) -> Result<Reservation, Error> {
        self.check_open()?;
        self.check_size(bytes)?;
        let bytes = self.reserved(bytes);
        self.make_headroom(&Want::unplaced(bytes, &self.nobody))?;
        Ok(Reservation::new(self, bytes))
    }

    pub(crate) fn credit_reservation(&self, bytes: Bytes) {
        self.budget.credit(bytes);
        self.ring();
    }

    /// Tells the observer. Never under a lock (C8).
    pub(crate) fn tell(&self, events: &[Event]) {
        let Some(observer) = &self.observer else { return };
        events.iter().for_each(|event| observer.event(event));
    }
}
