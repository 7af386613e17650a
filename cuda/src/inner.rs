//! The insides of a manager: what its face, its handles and its guards share, and the few steps that all of them take.

use crate::allocation::Allocation;
use crate::arena::{Place, Span};
use crate::arenas::Arenas;
use crate::budget::{Budget, Reservation};
use crate::clock::AnyClock;
use crate::error::Error;
use crate::floor::Floor;
use crate::fork;
use crate::memory::DeviceMemory;
use crate::observe::observed::Observed;
use crate::observer::{Event, Observer};
use crate::place::Want;
use crate::plugin::{Plugin, Tally};
use crate::policy::Policy;
use crate::prefetch::Prefetcher;
use crate::spill::SpillStore;
use crate::tenancy::Tenancy;
use crate::tenant::Tenant;
use crate::weights::Register;
use crossbeam_epoch as epoch;
use crossbeam_utils::CachePadded;
use freehold_core::{Bytes, Duty, Entry, FollowUp, Owner, Residency, Table};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, fence};

/// What the manager's face, its handles and its guards share.
#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) device: Arc<dyn DeviceMemory>,
    pub(crate) arenas: Arenas,
    pub(crate) granule: Bytes,
    pub(crate) traffic: CachePadded<Traffic>,
    /// How much host memory may hold what evictions wrote out.
    pub(crate) spill: SpillStore,
    pub(crate) table: Table<Tenant>,
    pub(crate) weights: Register,
    /// Whoever makes room has the turn, so that victims leave in exact order. Not taken where the request fits, on an
    /// access of a resident entry, or on a free; not held around any callback (C8).
    pub(crate) room: Mutex<()>,
    /// Rings when memory was freed or an entry that somebody waited for was unpinned.
    pub(crate) freed: event_listener::Event,
    /// Whether somebody was about to refuse while another's charge may have hidden what is free.
    pub(crate) hidden: AtomicBool,
    /// How many wait for memory: while any do, surveys mark what is in the way.
    pub(crate) waiting: AtomicUsize,
    pub(crate) prefetcher: Prefetcher,
    /// How many bytes of what comes next are brought each time; none, unless somebody asked for it.
    pub(crate) ahead: Bytes,
    /// Whether blocks may be moved to open a hole.
    pub(crate) moves: bool,
    pub(crate) policy: Policy,
    /// Whether a request may evict who ranks higher.
    pub(crate) floor: Floor,
    pub(crate) clock: AnyClock,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    /// What was seen: counts and the log.
    pub(crate) observed: Observed,
    pub(crate) nobody: Plugin,
    /// Relaxed: it refuses what comes later; what is under way ends by the residency words.
    pub(crate) closed: AtomicBool,
    /// The process that made the manager: a child of it may not use it (E8).
    pub(crate) forks: u64,
}

/// What every allocation and every free writes, with what is compared and counted beside it: their cache lines come from another
/// thread once, and nothing that an access only reads lies in them.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) budget: Budget,
    /// Requests that are charged and look for a block, and how many found none (see `place`). SeqCst throughout: a refusal
    /// compares it before and after.
    pub(crate) searches: AtomicU64,
    pub(crate) tally: Tally,
}

impl Inner {
    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        self.clock.tick()
    }

    /// Whether somebody wants to hear of each use of what may leave: the log, a policy that learns, who brings what comes next.
    pub(crate) fn hears_of_uses(&self) -> bool {
        self.observed.log.is_some() || self.policy.learns() || self.ahead > Bytes::ZERO
    }

    /// A size in whole granules. What was checked by `check_size` cannot wrap.
    pub(crate) fn reserved(&self, bytes: Bytes) -> Bytes {
        bytes.checked_round_up(self.granule).unwrap_or(Bytes(u64::MAX))
    }

    /// A7: what could never fit is refused before anything else happens.
    pub(crate) fn check_size(&self, bytes: Bytes) -> Result<(), Error> {
        let capacity = self.traffic.budget.whole();
        let fits = bytes.checked_round_up(self.granule).is_some_and(|rounded| rounded <= capacity);
        if fits { Ok(()) } else { Err(Error::TooLarge { requested: bytes, capacity }) }
    }

    /// An entry for `allocation`, absent, with its owner.
    pub(crate) fn tenancy(self: &Arc<Self>, mut allocation: Allocation) -> Result<Arc<Tenancy>, Error> {
        self.check_process()?;
        self.check_size(allocation.bytes)?;
        self.check_align(allocation.align)?;
        if allocation.reservation.as_ref().is_some_and(|reservation| !reservation.is_of(self)) {
            return Err(Error::BadAllocation("a reservation counts in the manager that made it, and in no other"));
        }
        let plugin = allocation.plugin.take().unwrap_or_else(|| self.nobody.clone());
        let tenant = Tenant::new(&mut allocation, plugin);
        let owner = self.table.insert(allocation.priority, self.tick(), tenant);
        self.saw_begin(&owner);
        let tenancy = Arc::new(Tenancy::new(self, owner, allocation));
        if self.policy.learns() {
            tenancy.tenant().owner.get_or_init(|| Arc::downgrade(&tenancy));
        }
        // SeqCst: pairs with the fence in `close`. A close that does not see the entry in the table is seen here.
        fence(SeqCst);
        if self.closed.load(Relaxed) { Err(Error::Closed) } else { Ok(tenancy) }
    }

    /// E8: whether this is the process that made the manager.
    #[inline]
    pub(crate) fn is_ours(&self) -> bool {
        fork::is_still(self.forks)
    }

    pub(crate) fn check_open(&self) -> Result<(), Error> {
        self.check_process()?;
        if self.closed.load(Relaxed) { Err(Error::Closed) } else { Ok(()) }
    }

    #[inline]
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
    #[inline]
    pub(crate) fn span(&self, tenant: &Tenant) -> Option<Span<'_>> {
        tenant.place.get().map(|place| self.span_at(place, tenant.bytes))
    }

    #[inline]
    pub(crate) fn span_at(&self, place: Place, bytes: Bytes) -> Span<'_> {
        self.arenas.at(place.arena).span(place.offset, bytes)
    }

    /// Does what a change of an entry's state has left to do: frees the memory, wakes who waits.
    #[inline]
    pub(crate) fn settle(&self, entry: &Entry<Tenant>, follow_up: FollowUp) {
        if follow_up.duty != Duty::None || follow_up.wake {
            self.follow_up(entry, follow_up);
        }
    }

    #[cold]
    fn follow_up(&self, entry: &Entry<Tenant>, follow_up: FollowUp) {
        if follow_up.duty == Duty::FreeMemory {
            self.free_place(entry);
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

    /// Frees a tenant's block, where it has one, and tells who waits.
    pub(crate) fn free_place(&self, entry: &Entry<Tenant>) {
        let tenant = entry.payload();
        let Some(place) = tenant.place.take() else { return };
        self.saw_left(entry, place);
        let want = Want::of(self, entry);
        self.arenas.at(place.arena).note_users(place.offset, want.bytes, tenant.streams.everybody());
        self.unplace(&want, place);
        self.ring();
    }

    pub(crate) fn reserve(self: &Arc<Self>, bytes: Bytes, priority: i32) -> Result<Reservation, Error> {
        self.check_open()?;
        self.check_size(bytes)?;
        let bytes = self.reserved(bytes);
        let ceiling = self.floor.ceiling(priority);
        self.make_headroom(&Want { ceiling, ..Want::unplaced(bytes, &self.nobody) })?;
        Ok(Reservation::new(self, bytes))
    }

    pub(crate) fn credit_reservation(&self, bytes: Bytes) {
        self.traffic.budget.credit(bytes);
        self.ring();
    }

    /// Tells the observer. Never under a lock (C8).
    pub(crate) fn tell(&self, events: &[Event]) {
        let Some(observer) = &self.observer else { return };
        for event in events {
            // An onlooker's panic must not undo what it looks at: a block is already found, a pin already given.
            if catch_unwind(AssertUnwindSafe(|| observer.event(event))).is_err() {
                tracing::error!(?event, "an observer panicked");
            }
        }
    }
}
