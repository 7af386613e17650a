//! A handle: the owner that plugins hold. It keeps its identity when its memory is evicted (C1); no flag tells the
//! two apart, and none is needed (C3).

use crate::access::{Access, AccessMut};
use crate::error::Error;
use crate::prefetch::Prefetch;
use crate::tenancy::Tenancy;
use crate::weights::Membership;
use freehold_core::{Bytes, HandleKey, Residency};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// The owned right to one buffer of the card. Not `Clone`: sharing goes through
/// [`acquire_shared_weights`](crate::VramManager::acquire_shared_weights). `Send + Sync`; dropping it on any thread
/// frees the memory on the right device (A4), and never panics (A2).
///
/// Having a `VramHandle` tells you three things: its entry exists under the same id as long as it lives; its size
/// never changes; and unless it was released, [`access`](Self::access) brings its content back however often it was
/// evicted.
#[derive(Debug)]
pub struct VramHandle {
    tenancy: Arc<Tenancy>,
    membership: Option<Membership>,
    // Relaxed: it decides only whether this handle is still in use; the residency word orders everything about memory.
    released: AtomicBool,
}

impl VramHandle {
    pub(crate) fn new(tenancy: Arc<Tenancy>, membership: Option<Membership>) -> Self {
        VramHandle { tenancy, membership, released: AtomicBool::new(false) }
    }

    pub(crate) fn tenancy(&self) -> &Tenancy {
        &self.tenancy
    }

    /// Pins the buffer and returns a guard over it, complete content included: where it was evicted, it is brought
    /// back first, from its source or from where it was spilled. While the guard lives, the address does not change
    /// (B7). Using an entry makes it the hottest (B4).
    ///
    /// **Progress**: resident: lock-free, one compare-exchange to pin and one RMW to unpin. Evicted: waits for whoever
    /// brings it back, or does so itself, making room.
    ///
    /// # Errors
    /// [`Error::Released`] after `release` or the manager's close; [`Error::OutOfMemory`] where no room could be made;
    /// the source's error each time it fails (C5).
    #[inline(always)]
    pub fn access(&self) -> Result<Access<'_>, Error> {
        if !self.is_released()
            && let Some(access) = Access::at_hand(&self.tenancy)
        {
            return Ok(access);
        }
        self.access_wherever()
    }

    /// As [`access`](Self::access), but where no room can be made for an evicted entry, waits for it, for `timeout` at most
    /// (E5).
    ///
    /// # Errors
    /// Those of `access`; [`Error::OutOfMemory`] only after the timeout.
    pub fn access_timeout(&self, timeout: Duration) -> Result<Access<'_>, Error> {
        self.tenancy.inner().patiently(Instant::now().checked_add(timeout), || self.access())
    }

    /// As [`access`](Self::access), for writing. The write survives eviction: the entry is written out before its
    /// memory goes, and comes back from there (C11).
    ///
    /// # Errors
    /// Those of `access`, and [`Error::Immutable`] for shared weights.
    pub fn access_mut(&mut self) -> Result<AccessMut<'_>, Error> {
        self.check_mutable()?;
        AccessMut::new(&self.tenancy)
    }

    /// Begins to bring the content and returns at once: see [`prefetch`](crate::VramManager::prefetch).
    ///
    /// # Errors
    /// [`Error::Released`].
    pub fn prefetch(&self) -> Result<Prefetch, Error> {
        self.check()?;
        self.tenancy.inner().prefetcher.ask(&self.tenancy)
    }

    /// Counts as a use without an access (B4): the entry becomes the hottest.
    pub fn touch(&self) {
        self.tenancy.touch();
    }

    /// Gives the memory back now; where somebody still has it pinned, when the last pin ends. Of shared weights it ends
    /// this handle's part only. Idempotent: released thrice counts once (D8).
    pub fn release(&self) {
        if !self.tenancy.inner().is_ours() || self.released.swap(true, Relaxed) {
            return;
        }
        let last = self.membership.as_ref().is_none_or(|membership| membership.leave(&self.tenancy));
        if last {
            self.tenancy.let_go();
        }
    }

    /// The importance from the next eviction on (B8). Of shared weights: this consumer's; the highest counts (D4).
    pub fn set_priority(&self, priority: i32) {
        match &self.membership {
            Some(membership) => membership.set_priority(&self.tenancy, priority),
            None => self.tenancy.inner().set_priority(self.tenancy.entry(), priority),
        }
    }

    /// The importance in force: of shared weights, the highest of their live consumers.
    #[must_use]
    pub fn priority(&self) -> i32 {
        self.tenancy.entry().priority()
    }

    /// The entry's number: never reused, smaller is older. Handles of the same shared weights have the same.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.tenancy.entry().id()
    }

    /// The entry's key in the manager's table.
    #[must_use]
    pub fn key(&self) -> HandleKey {
        self.tenancy.entry().key()
    }

    /// The size asked for.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.tenancy.tenant().bytes
    }

    /// What the entry takes of the card while resident: whole granules (A8).
    #[must_use]
    pub fn reserved_bytes(&self) -> Bytes {
        self.tenancy.inner().reserved(self.bytes())
    }

    /// The label it was made with.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.tenancy.tenant().label
    }

    /// Whether the content is on the card at this moment: for reports. It may have changed when you look at the answer,
    /// and asking is no use of the entry (B4).
    #[must_use]
    pub fn is_resident(&self) -> bool {
        self.tenancy.entry().residency().snapshot().residency() == Residency::Resident
    }

    /// A guard whose bytes may still be on their way: for whoever puts a stream behind them.
    #[cfg(feature = "cuda")]
    pub(crate) fn pin_guard(&self) -> Result<Access<'_>, Error> {
        self.check()?;
        Access::pin(&self.tenancy)
    }

    pub(crate) fn check_mutable(&self) -> Result<(), Error> {
        self.check()?;
        match &self.membership {
            Some(_) => Err(Error::Immutable { label: self.tenancy.tenant().label.shared() }),
            None => Ok(()),
        }
    }

    /// `access` where the bytes are not at hand, or somebody wants to hear of it, or it is refused.
    #[cold]
    fn access_wherever(&self) -> Result<Access<'_>, Error> {
        self.check()?;
        Access::new(&self.tenancy)
    }

    fn check(&self) -> Result<(), Error> {
        self.tenancy.inner().check_process()?;
        if self.is_released() { Err(Error::Released { key: self.key() }) } else { Ok(()) }
    }

    #[inline]
    fn is_released(&self) -> bool {
        self.released.load(Relaxed)
    }
}

impl Drop for VramHandle {
    fn drop(&mut self) {
        self.release();
    }
}
