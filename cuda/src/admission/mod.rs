//! The admission pool as a program with threads and a clock meets it: the core's pool, with ways to wait and with books.
//!
//! A process that decodes media or runs a side model asks here before it allocates, so that the engine's headroom physically
//! exists. Who may enter and in which order is decided in [`freehold_core::admission`] alone; this module parks threads
//! (`wait`), counts (`books`), and holds the pool of the process (`global`).

mod books;
mod global;
mod lease;
#[cfg(target_os = "linux")]
pub mod shared;
mod wait;

use std::sync::Arc;
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, AdmissionRequest, Bytes, Fairness, PoolError, PoolRef};

use books::Books;
pub use books::{Label, LabelStatistics, PoolStatistics};
pub use global::{GlobalPoolError, global_pool, init_global_pool, set_global_pool};
pub use lease::{Lease, OwnedLease};
pub use wait::Acquire;

/// A budget of bytes for the jobs of this process: [`freehold_core::MemoryPool`] with blocking calls and statistics.
///
/// **Progress.** `try_acquire` and release are lock-free. `acquire` waits until the bytes are there and it is its turn; who
/// waits sleeps, and is woken once, when it has been served.
///
/// **A trap, and the ways out.** Blocking for a second lease while holding a first can deadlock under every policy: take one
/// lease for the job and [`split`](Lease::split) it, or [`try_grow`](Lease::try_grow) with a fallback, or wait with a timeout.
///
/// ```
/// use freehold_core::Bytes;
/// use freehold_cuda::MemoryPool;
/// use std::time::Duration;
///
/// let pool = MemoryPool::new(Bytes(1 << 30))?;
/// let decode = pool.label("decode");
/// let job = pool.acquire(700 << 20)?.with_label(&decode);
/// assert!(pool.acquire_timeout(700 << 20, Duration::from_millis(1)).is_err());
/// job.observe(Bytes(900 << 20)); // it used more than it had asked for
/// drop(job);
/// assert_eq!(pool.available_bytes(), pool.total_bytes());
/// assert_eq!(pool.statistics().labels[0].undercharged, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct MemoryPool {
    core: freehold_core::MemoryPool,
    books: Books,
}

impl PoolRef for &MemoryPool {
    #[inline]
    fn pool(&self) -> &freehold_core::MemoryPool {
        &self.core
    }
}

/// So that an `Arc` of this pool leads to the core's, which `Arc<MemoryPool>` itself may not say of a foreign trait.
#[derive(Clone, Debug)]
pub struct Owned(pub(crate) Arc<MemoryPool>);

impl PoolRef for Owned {
    #[inline]
    fn pool(&self) -> &freehold_core::MemoryPool {
        &self.0.core
    }
}

/// A way of holding this pool: by borrow, or [`Owned`].
pub trait Holder: PoolRef {
    /// The pool that is held.
    fn memory_pool(&self) -> &MemoryPool;
}

impl Holder for &MemoryPool {
    fn memory_pool(&self) -> &MemoryPool {
        self
    }
}

impl Holder for Owned {
    fn memory_pool(&self) -> &MemoryPool {
        &self.0
    }
}

impl MemoryPool {
    /// A pool of `total` bytes that serves in order of arrival.
    ///
    /// # Errors
    /// [`PoolError`] if the total is 0 or too large to count.
    pub fn new(total: Bytes) -> Result<MemoryPool, PoolError> {
        MemoryPool::with_fairness(total, Fairness::default())
    }

    /// A pool of `total` bytes that serves in another order.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_fairness(total: Bytes, fairness: Fairness) -> Result<MemoryPool, PoolError> {
        Ok(MemoryPool { core: freehold_core::MemoryPool::with_fairness(total, fairness)?, books: Books::default() })
    }

    /// All the bytes that the pool can lease.
    #[must_use]
    pub fn total_bytes(&self) -> Bytes {
        self.core.total_bytes()
    }

    /// The bytes that nobody leases at this moment.
    #[must_use]
    pub fn available_bytes(&self) -> Bytes {
        self.core.available_bytes()
    }

    /// Leases the bytes; waits for its turn and for the bytes. Zero bytes never wait.
    ///
    /// # Errors
    /// [`AcquireError::TooLarge`] at once if they can never fit, [`AcquireError::Closed`].
    pub fn acquire(&self, request: impl Into<AdmissionRequest>) -> Result<Lease<&MemoryPool>, AcquireError> {
        self.acquire_async(request).wait()
    }

    /// Leases the bytes if they are free and nobody waits before it; never waits.
    ///
    /// # Errors
    /// As [`freehold_core::MemoryPool::try_acquire`].
    #[inline]
    pub fn try_acquire(&self, request: impl Into<AdmissionRequest>) -> Result<Lease<&MemoryPool>, AcquireError> {
        Lease::try_acquire(self, request)
    }

    /// [`acquire`](Self::acquire), for `timeout` at most.
    ///
    /// # Errors
    /// As `acquire`, and [`AcquireError::TimedOut`]: it then holds nothing and has held nobody up.
    pub fn acquire_timeout(
        &self,
        request: impl Into<AdmissionRequest>,
        timeout: Duration,
    ) -> Result<Lease<&MemoryPool>, AcquireError> {
        self.acquire_async(request).wait_timeout(timeout)
    }

    /// [`acquire`](Self::acquire), until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`acquire_timeout`](Self::acquire_timeout).
    pub fn acquire_deadline(
        &self,
        request: impl Into<AdmissionRequest>,
        deadline: Instant,
    ) -> Result<Lease<&MemoryPool>, AcquireError> {
        self.acquire_async(request).wait_deadline(deadline)
    }

    /// A future of the lease, for any executor; dropping it gives up.
    pub fn acquire_async(&self, request: impl Into<AdmissionRequest>) -> Acquire<&MemoryPool> {
        Acquire::new(self, request)
    }

    /// The same as a future or a wait of your choice, for a lease that keeps the pool alive and can go anywhere.
    pub fn acquire_owned(self: &Arc<Self>, request: impl Into<AdmissionRequest>) -> Acquire<Owned> {
        Acquire::new(Owned(self.clone()), request)
    }

    /// Changes the total and returns the old one: [`freehold_core::MemoryPool::set_total`].
    ///
    /// # Errors
    /// [`PoolError::TotalTooLarge`].
    pub fn set_total(&self, total: Bytes) -> Result<Bytes, PoolError> {
        self.core.set_total(total)
    }

    /// Admits nobody from here on; all who wait are told. Leases stay good.
    pub fn close(&self) {
        self.core.close();
    }

    /// The label of this name, made when first asked for: ask once and keep it.
    #[must_use]
    pub fn label(&self, name: &str) -> Label {
        self.books.label(name)
    }

    /// What happened so far. Each number was true at some moment of the call; `peak_bytes` is never below `in_use_bytes`.
    #[must_use]
    pub fn statistics(&self) -> PoolStatistics {
        self.books.statistics(&self.core)
    }
}
