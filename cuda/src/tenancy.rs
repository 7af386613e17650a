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
    pub(crate) fn new(inner: &Arc<Inner>, owner: Owner<Tenant>, allocation: &Allocation) -> Self {
        let source = match &allocation.backing {
            Backing::Source(source) => Some(Arc::clone(source)),
            Backing::Spill | Backing::Fixed => None,
        };
        Tenancy {
            inner: Arc::clone(inner),
            owner: Some(owner),
            source,
            loaded: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            queued: AtomicBool::new(false),
            consumers: Mutex::default(),
            _reservation: allocation.reservation.clone(),
        }
    }

    pub(crate) fn inner(&self) -> &Arc<Inner> {
        &self.inner
    }

    pub(crate) fn device(&self) -> &dyn DeviceMemory {
        &*self.inner.device
    }

    pub(crate) fn entry(&self) -> &Entry<Tenant> {
        self.owner.as_ref().expect("a tenancy owns its entry until it is dropped")
    }

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

    /// Pins the entry and makes it the hottest.
    ///
    /// The policy hears of the use first: where room must be made for it, its plugin is known to be at work, and where. Once
    /// it is there, `finish` of `materialise` has noted a later tick than ours.
    pub(crate) fn use_and_pin(&self) -> Result<(), Error> {
        self.inner.saw_use(self.entry());
        let tick = self.inner.tick();
        self.learn(tick);
        self.pin()?;
        self.entry().touch(tick);
        if self.inner.ahead > Bytes::ZERO && self.tenant().early.used() {
            self.inner.ask_ahead();
        }
        Ok(())
    }

    /// What never leaves is nothing to learn from: it would only blur the count of what does.
    fn learn(&self, tick: u64) {
        let tenant = self.tenant();
        if self.inner.policy.learns() && tenant.departure != Departure::Fixed {
            tenant.plugin.learn().note(tick, &tenant.beat);
        }
    }

    /// Pins the entry, bringing its content back first where that is needed. On a resident entry: one load, one CAS.
    pub(crate) fn pin(&self) -> Result<(), Error> {
        match self.entry().residency().try_pin() {
            Pin::Pinned => {
                self.tenant().plugin.hit();
                Ok(())
            }
            _ => self.inner.pin_slow(self),
        }
    }

    /// Ends one pin. One RMW, unless it was the last of a released entry or somebody waits for it.
    pub(crate) fn unpin(&self) {
        let settled = self.entry().residency().unpin();
        self.inner.settle(self.entry(), settled);
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
