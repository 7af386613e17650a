//! The byte budget: how much of the card the manager may fill, and what of that is set aside.
//!
//! Bytes are charged before a block is looked for and credited after it is freed, in whole granules, so that the sum of
//! all blocks is never above the limit at any instant. A reservation (P19) is charged as a whole when it is made: the
//! headroom then physically exists, and allocations within it draw from it.

use crate::inner::Inner;
use freehold_core::Bytes;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};

/// A limit and what is used of it. Relaxed throughout: the count guards no memory, the buddy does.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: AtomicU64,
    lent: AtomicU64,
    used: AtomicU64,
}

/// Whose bytes a block was charged to, so that they go back there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Charge {
    /// What the manager has for everybody.
    Budget,
    /// The entry's reservation.
    Reservation,
}

impl Budget {
    pub(crate) fn new(limit: Bytes) -> Self {
        Budget { limit: AtomicU64::new(limit.get()), lent: AtomicU64::new(0), used: AtomicU64::new(0) }
    }

    /// What may be charged at most: the limit that was set, less what is lent to somebody outside.
    pub(crate) fn limit(&self) -> Bytes {
        Bytes(self.limit.load(Relaxed).saturating_sub(self.lent.load(Relaxed)))
    }

    /// What could be charged with nothing lent: what is larger can never fit.
    pub(crate) fn whole(&self) -> Bytes {
        Bytes(self.limit.load(Relaxed))
    }

    /// Lends bytes to somebody outside, whatever the limit is or becomes meanwhile.
    pub(crate) fn lend(&self, bytes: Bytes) {
        self.lent.fetch_add(bytes.get(), Relaxed);
    }

    /// They are back.
    pub(crate) fn take_back(&self, bytes: Bytes) {
        self.lent.fetch_sub(bytes.get(), Relaxed);
    }

    /// Changes the limit. What is charged above it stays charged; nothing is admitted until it is below.
    pub(crate) fn set_limit(&self, limit: Bytes) {
        self.limit.store(limit.get(), Relaxed);
    }

    pub(crate) fn used(&self) -> Bytes {
        Bytes(self.used.load(Relaxed))
    }

    pub(crate) fn free(&self) -> Bytes {
        Bytes(self.limit().get().saturating_sub(self.used().get()))
    }

    /// Charges `bytes`, or changes nothing where the limit would be passed. Lock-free: it retries only after another's
    /// success. A compare-exchange, never an addition that is taken back: nobody may see the sum above the limit.
    pub(crate) fn charge(&self, bytes: Bytes) -> bool {
        // The limit is read at each try: it may have been lowered since the last.
        let charged = |used: u64| used.checked_add(bytes.get()).filter(|&sum| sum <= self.limit().get());
        self.used.fetch_update(Relaxed, Relaxed, charged).is_ok()
    }

    /// Gives charged bytes back. One RMW.
    pub(crate) fn credit(&self, bytes: Bytes) {
        let before = self.used.fetch_sub(bytes.get(), Relaxed);
        debug_assert!(before >= bytes.get(), "{bytes} credited of {before} charged");
    }
}

/// Bytes of a manager's budget that only allocations made `within` it can use. Given back when its last clone and the
/// last entry within it are gone.
#[derive(Clone)]
pub struct Reservation(Arc<Set>);

pub(crate) struct Set {
    inner: Weak<Inner>,
    bytes: Bytes,
    budget: Budget,
}

impl Reservation {
    pub(crate) fn new(inner: &Arc<Inner>, bytes: Bytes) -> Self {
        Reservation(Arc::new(Set { inner: Arc::downgrade(inner), bytes, budget: Budget::new(bytes) }))
    }

    /// How much was set aside, in whole granules.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.bytes
    }

    /// How much of it is in use now.
    #[must_use]
    pub fn used(&self) -> Bytes {
        self.0.budget.used()
    }

    /// Whether this manager made it.
    pub(crate) fn is_of(&self, inner: &Arc<Inner>) -> bool {
        std::ptr::eq(self.0.inner.as_ptr(), Arc::as_ptr(inner))
    }

    /// What an entry keeps of its reservation: enough to charge and credit, too little to keep it alive. (Entries are
    /// destroyed a while after they are gone, when no reader can see them any more; the bytes must be back before.)
    pub(crate) fn account(&self) -> Account {
        Account(Arc::downgrade(&self.0))
    }
}

/// An entry's access to its reservation's books.
#[derive(Debug)]
pub(crate) struct Account(Weak<Set>);

impl Account {
    /// Charges `bytes` to the reservation if it is there and has them.
    pub(crate) fn charge(&self, bytes: Bytes) -> bool {
        self.0.upgrade().is_some_and(|set| set.budget.charge(bytes))
    }

    /// What could be charged to it now.
    pub(crate) fn free(&self) -> Bytes {
        self.0.upgrade().map_or(Bytes::ZERO, |set| set.budget.free())
    }

    /// Whether the two are of one reservation.
    pub(crate) fn is(&self, other: &Account) -> bool {
        self.0.ptr_eq(&other.0)
    }

    /// Gives charged bytes back; where the reservation is gone, it took them along.
    pub(crate) fn credit(&self, bytes: Bytes) {
        if let Some(set) = self.0.upgrade() {
            set.budget.credit(bytes);
        }
    }
}

impl Drop for Set {
    fn drop(&mut self) {
        if let Some(inner) = self.inner.upgrade() {
            inner.credit_reservation(self.bytes);
        }
    }
}

impl fmt::Debug for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Set").field("bytes", &self.bytes).field("budget", &self.budget).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes()).field("used", &self.used()).finish_non_exhaustive()
    }
}
