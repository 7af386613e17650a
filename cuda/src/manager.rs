//! The manager: who may have memory, who must give it up, and how it comes back. The story is told here; each step has
//! a file of its own.
//!
//! ```text
//!   allocate --> tenancy --> place --> [make room: evict in order] --> fill from the source --> VramHandle
//!   access   --> pin ----------------------------- resident: nothing more -----------------> Access
//!                 \--> absent: claim --> place --> fill --> resident and pinned -------------/
//! ```

use crate::allocation::{Allocation, Backing};
use crate::audit::{self, Books, BooksError};
use crate::budget::Reservation;
use crate::builder::VramManagerBuilder;
use crate::close::{self, LeakReport};
use crate::error::Error;
use crate::handle::VramHandle;
use crate::inner::Inner;
use crate::memory::DeviceMemory;
use crate::observe::EventLog;
use crate::plugin::{Plugin, Stats};
use crate::room::Candidate;
use crate::weights::{self};
use freehold_core::Bytes;
use std::sync::Arc;

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
        let plugin = Plugin::new(name);
        self.inner.observed.met(&plugin);
        plugin
    }

    /// Memory for an entry, its content brought from its source (A1). Evicts in order where it does not fit (B1..B3).
    ///
    /// **Progress**: lock-free where it fits and has no source; otherwise it waits for its turn to make room, and for
    /// its source.
    ///
    /// # Errors
    /// [`Error::TooLarge`], [`Error::OutOfMemory`], the source's own; nothing has changed then.
    pub fn allocate(&self, allocation: Allocation) -> Result<VramHandle, Error> {
        let tenancy = self.inner.tenancy(allocation)?;
        self.inner.first_load(&tenancy)?;
        Ok(VramHandle::new(tenancy, None))
    }

    /// A handle whose content comes with its first access: it takes no memory now.
    ///
    /// # Errors
    /// [`Error::TooLarge`]; [`Error::BadAllocation`] for an allocation without a source, which could never come.
    pub fn register(&self, allocation: Allocation) -> Result<VramHandle, Error> {
        check_sourced(&allocation)?;
        Ok(VramHandle::new(self.inner.tenancy(allocation)?, None))
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

    /// Evicts in order until an allocation of `bytes` would fit, whoever ranks how high, and says who left, in the order of leaving.
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
    /// Under [`Floor::Requester`](crate::Floor::Requester) it asks with priority 0, as an allocation does that says nothing of it: a
    /// reservation that could evict anybody would be a way round the floor, one that could evict nobody would be of no use.
    ///
    /// # Errors
    /// [`Error::TooLarge`] and [`Error::OutOfMemory`]; nothing was evicted then. [`Error::Closed`].
    pub fn reserve(&self, bytes: Bytes) -> Result<Reservation, Error> {
        self.reserve_with_priority(bytes, 0)
    }

    /// As [`reserve`](Self::reserve), with a priority for the asking. What is later allocated within the reservation has its own.
    ///
    /// # Errors
    /// Those of [`reserve`](Self::reserve).
    pub fn reserve_with_priority(&self, bytes: Bytes, priority: i32) -> Result<Reservation, Error> {
        self.inner.reserve(bytes, priority)
    }

    /// What has been counted so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.traffic.tally.read()
    }

    /// The log of what happened, where the builder [turned it on](crate::VramManagerBuilder::event_log).
    #[must_use]
    pub fn event_log(&self) -> Option<&EventLog> {
        self.inner.observed.log.as_deref()
    }

    /// The bytes that may be resident at once.
    #[must_use]
    pub fn budget(&self) -> Bytes {
        self.inner.traffic.budget.limit()
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
