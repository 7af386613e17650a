//! A tenancy: the owned right to one entry, shared by the handles of its consumers.
//!
//! It keeps the entry's slot alive, so that an access needs no epoch guard, and holds the source, which is therefore
//! dropped with the last handle (C13). The memory leaves at [`let_go`](Tenancy::let_go), the slot when it is dropped.

use crate::allocation::{Allocation, Backing};
use crate::budget::Reservation;
use crate::error::Error;
use crate::inner::Inner;
use crate::memory::DeviceMemory;
use crate::source::Source;
use crate::tenant::{Departure, Tenant};
use crate::weights::Consumers;
use freehold_core::{Bytes, Entry, Owner, Pin};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

pub(crate) struct Tenancy {
    inner: Arc<Inner>,
    // `None` only inside `drop`, which hands the owner back to the table.
    owner: Option<Owner<Tenant>>,
    /// Whether anybody wants to hear of its uses: the log, a policy that learns, whoever brings what comes next.
    heard: bool,
    source: Option<Arc<dyn Source>>,
    // Relaxed: it only says whether a first load ever came to its end.
    loaded: AtomicBool,
    // Relaxed: it only keeps the log from hearing of the end twice.
    ended: AtomicBool,
    // Relaxed: it only keeps the entry from standing in the prefetch queue twice.
    queued: AtomicBool,
    consumers: Mutex<Consumers>,
    // Alive as long as anybody may want to bring the entry back within it.
    _reservation: Option<Reservation>,
}

impl Tenancy {
    pub(crate) fn new(inner: &Arc<Inner>, owner: Owner<Tenant>, allocation: Allocation) -> Self {
        let source = match allocation.backing {
            Backing::Source(source) => Some(source),
            Backing::Spill | Backing::Fixed => None,
        };
        // What never leaves is nothing to learn from: it would only blur the count of what does.
        let heard = owner.payload().departure != Departure::Fixed && inner.hears_of_uses();
        Tenancy {
            inner: Arc::clone(inner),
            owner: Some(owner),
            heard,
            source,
            loaded: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            consumers: Mutex::default(),
            _reservation: allocation.reservation,
        }
    }

    #[inline]
    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    #[inline]
    pub(crate) fn device(&self) -> &dyn DeviceMemory {
        &*self.inner.device
    }

    #[inline]
    pub(crate) fn entry(&self) -> &Entry<Tenant> {
        self.owner.as_ref().expect("a tenancy owns its entry until it is dropped")
    }

    #[inline]
    pub(crate) fn tenant(&self) -> &Tenant {
        self.entry().payload()
    }

    pub(crate) fn source(&self) -> Option<&Arc<dyn Source>> {
        self.source.as_ref()
    }

    pub(crate) fn consumers(&self) -> &Mutex<Consumers> {
        &self.consumers
    }

    pub(crate) fn was_loaded(&self) -> bool {
        self.loaded.load(Relaxed)
    }

    pub(crate) fn note_loaded(&self) {
        self.loaded.store(true, Relaxed);
    }

    /// Whether the entry was not in the prefetch queue before.
    pub(crate) fn enter_queue(&self) -> bool {
        !self.queued.swap(true, Relaxed)
    }

    /// The mirror of `enter_queue`.
    pub(crate) fn leave_queue(&self) {
        self.queued.store(false, Relaxed);
    }

    /// Makes the entry the hottest.
    pub(crate) fn touch(&self) {
        let tick = self.inner.tick();
        self.learn(tick);
        self.entry().touch(tick);
    }

    /// Pins the entry, counts the use and makes it the hottest, if its bytes are there for the host to read: the
    /// clock, one compare-exchange, and two plain stores that say how often and when. Otherwise nothing is done.
    #[inline(always)]
    pub(crate) fn use_at_hand(&self) -> Option<Pinned<'_>> {
        if !self.inner.is_ours() {
            return None;
        }
        // The clock first: it is the caller's, and may panic. And the other way round a thread that uses many entries in turn
        // takes a quarter longer.
        let (tick, entry) = (self.inner.tick(), self.entry());
        if entry.residency().try_pin() != Pin::Pinned {
            return None;
        }
        let pinned = Pinned(self);
        if !entry.payload().streams.before().is_empty() {
            return pinned.give_up();
        }
        entry.payload().plugin.hit();
        entry.touch(tick);
        if self.heard {
            self.tell_at_hand(tick);
        }
        Some(pinned)
    }

    /// Pins the entry, bringing its content back first where that is needed, and makes it the hottest.
    ///
    /// The policy hears of the use first: where room must be made for it, its plugin is known to be at work, and where. The
    /// clock comes before the pin: it is the caller's, and may panic.
    pub(crate) fn use_and_pin(&self) -> Result<Pinned<'_>, Error> {
        let (tick, entry) = (self.inner.tick(), self.entry());
        self.tell(tick);
        match entry.residency().try_pin() {
            Pin::Pinned => entry.payload().plugin.hit(),
            _ => self.inner.pin_slow(self)?,
        }
        let pinned = Pinned(self);
        entry.touch(tick); // where it had to be brought, that noted a later tick
        self.tell_first();
        Ok(pinned)
    }

    #[inline(never)]
    fn tell_at_hand(&self, tick: u64) {
        self.tell(tick);
        self.tell_first();
    }

    /// Tells the log and the policy of a use.
    #[inline]
    fn tell(&self, tick: u64) {
        self.inner.saw_use(self.entry());
        self.learn(tick);
    }

    #[inline]
    fn learn(&self, tick: u64) {
        let tenant = self.tenant();
        if self.heard && self.inner.policy.learns() {
            tenant.plugin.learn().note(tick, &tenant.beat);
        }
    }

    /// Where the entry came ahead of this use, what comes next is asked for.
    #[inline]
    fn tell_first(&self) {
        if self.inner.ahead > Bytes::ZERO && self.tenant().early.used() {
            self.inner.ask_ahead();
        }
    }

    /// Gives the memory up: at once, or when the last pin or the operation in progress ends. Idempotent.
    pub(crate) fn let_go(&self) {
        // Relaxed, and no read-modify-write: who releases comes before who drops, and nobody else comes here.
        if !self.ended.load(Relaxed) {
            self.ended.store(true, Relaxed);
            self.inner.saw_end(self.entry());
        }
        let settled = self.entry().residency().release();
        self.inner.conclude(self.entry(), settled);
    }
}

/// One pin. Ending it is one RMW, unless it was the last of a released entry or somebody waits for it.
#[derive(Debug)]
pub(crate) struct Pinned<'h>(&'h Tenancy);

impl<'h> Pinned<'h> {
    #[inline]
    pub(crate) fn tenancy(&self) -> &'h Tenancy {
        self.0
    }

    /// It is of no use.
    #[cold]
    fn give_up<T>(self) -> Option<T> {
        None
    }
}

impl Drop for Pinned<'_> {
    #[inline]
    fn drop(&mut self) {
        let entry = self.0.entry();
        self.0.inner.settle(entry, entry.residency().unpin());
    }
}

impl Drop for Tenancy {
    fn drop(&mut self) {
        if !self.inner.is_ours() {
            // The child of a fork frees nothing: not the memory, which is the parent's, nor the books that it copied.
            std::mem::forget(self.owner.take());
            return;
        }
        self.let_go();
        if let Some(owner) = self.owner.take() {
            self.inner.retire(owner);
        }
    }
}

impl std::fmt::Debug for Tenancy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tenancy")
            .field("key", &self.entry().key())
            .field("label", &self.tenant().label)
            .finish_non_exhaustive()
    }
}
