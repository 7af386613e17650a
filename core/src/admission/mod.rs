//! May it enter? A pool counts bytes and hands out leases; it owns no memory.
//!
//! One atomic word decides everything. While nobody waits it is the number of free bytes, and to enter or to leave is one
//! compare-exchange of it (`word`). When somebody has to wait it becomes the address of an immutable `ledger`: the number
//! and the queue together, replaced as a whole by whoever acts next (`cell`) and freed by the last to leave (`retired`).
//! So a grant is one step, which takes the bytes and removes the waiter at once; a cancelled waiter either was granted before
//! or is gone; and a thread stopped anywhere blocks no other.
//!
//! ```text
//!            take(n), give(n)                          enter, withdraw, give, close, set_total
//!                 ┌───┐         enter, does not fit         ┌───┐
//!                 ▼   │      ─────────────────────────▶     ▼   │
//!              free bytes                               Ledger { free bytes, queue }
//!                            ◀─────────────────────────
//!                               the last waiter goes
//! ```
//! Rejected: admit by adding and undoing (others see bytes that were never there), a queue beside the counter (debit and
//! grant are then two steps, and who is stopped between them holds bytes that nobody has), a flag for whose turn it is
//! to serve (who is stopped inside delays every waiter).

mod acquire;
mod cell;
mod error;
mod fairness;
mod lease;
mod ledger;
mod passage;
mod queue;
mod retired;
mod word;

use core::fmt;
use crossbeam_utils::CachePadded;

use crate::sync::atomic::{AtomicU64, Ordering};
use crate::units::Bytes;
use cell::{Cell, Step};
use ledger::{Ledger, Rules};
use word::LARGEST_TOTAL;

pub use acquire::Acquire;
pub use error::{AcquireError, LeaseError, PoolError};
pub use fairness::{AdmissionRequest, Fairness};
pub use lease::{Lease, PoolRef};

/// A budget of bytes that concurrent jobs ask before they allocate: at no instant is the sum of the leases above the total.
///
/// It is a counter with a queue and no allocator: having a [`Lease`] says that the bytes may be used, not where they are.
///
/// **Progress.** Lock-free: an attempt is repeated only after another operation succeeded. `try_acquire` and release with
/// nobody waiting are one compare-exchange. A thread stopped anywhere inside an operation blocks no other; what it may delay
/// are wake-ups that it had decided on and not yet sent, and the freeing of queue nodes.
///
/// **Complexity.** O(1) with nobody waiting; O(log waiters) to wait, to be served and to give up; under
/// [`Fairness::Barging`] each release looks at every waiter.
///
/// **A trap, and the ways out.** Who holds a lease and waits for another can wait for itself: under `Fifo` and `Priority`
/// behind a large waiter that waits for this very lease, and under every policy, `Barging` too, when several such callers hold what
/// the others want. Take one lease for the whole job and [`split`](Lease::split) it; or ask for more with
/// [`try_acquire`](Self::try_acquire) or [`try_grow`](Lease::try_grow) and do without on refusal; or wait with a timeout.
///
/// ```
/// use freehold_core::{AcquireError, Bytes, MemoryPool};
///
/// let pool = MemoryPool::new(Bytes(100))?;
/// let lease = pool.try_acquire(60).expect("it fits");
/// assert_eq!(pool.available_bytes(), Bytes(40));
/// assert!(matches!(pool.try_acquire(60), Err(AcquireError::Full { .. })), "wait, or do without");
/// assert!(matches!(pool.try_acquire(101), Err(AcquireError::TooLarge { .. })), "no use in waiting");
/// drop(lease);
/// assert_eq!(pool.available_bytes(), pool.total_bytes());
/// # Ok::<(), freehold_core::PoolError>(())
/// ```
pub struct MemoryPool {
    cell: Cell,
    /// Set before the word follows: [`set_total`](Self::set_total) has the reasons.
    total: AtomicU64,
    peak: AtomicU64,
    /// Bytes that left their leases for a while ([`Lease::into_bytes`]).
    detached: CachePadded<AtomicU64>,
    tickets: AtomicU64,
    lease_ids: AtomicU64,
    fairness: Fairness,
}

impl MemoryPool {
    /// A pool of `total` bytes that serves in order of arrival.
    ///
    /// # Errors
    /// [`PoolError`] if `total` is 0 or above 2^60.
    pub fn new(total: Bytes) -> Result<MemoryPool, PoolError> {
        MemoryPool::with_fairness(total, Fairness::default())
    }

    /// A pool of `total` bytes that serves in another order.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn with_fairness(total: Bytes, fairness: Fairness) -> Result<MemoryPool, PoolError> {
        let total = countable(total)?;
        if total == 0 {
            return Err(PoolError::ZeroTotal);
        }
        Ok(MemoryPool {
            cell: Cell::new(total as i64),
            total: AtomicU64::new(total),
            peak: AtomicU64::new(0),
            detached: CachePadded::new(AtomicU64::new(0)),
            tickets: AtomicU64::new(0),
            lease_ids: AtomicU64::new(1),
            fairness,
        })
    }

    /// All the bytes that the pool can lease.
    #[must_use]
    pub fn total_bytes(&self) -> Bytes {
        Bytes(self.total())
    }

    /// The bytes that nobody leases at this moment: 0 where the total was lowered below what is leased.
    #[must_use]
    pub fn available_bytes(&self) -> Bytes {
        Bytes(self.free().max(0) as u64)
    }

    /// The bytes that are leased at this moment.
    #[must_use]
    pub fn leased_bytes(&self) -> Bytes {
        // A total that is just being changed may be a step ahead of the free bytes.
        Bytes((self.total() as i64 - self.free()).max(0) as u64)
    }

    /// The most bytes that were ever leased at once. (An admission that meets [`set_total`](Self::set_total) half-way may count
    /// the difference in.)
    #[must_use]
    pub fn peak_bytes(&self) -> Bytes {
        let leased = self.leased_bytes().get();
        // Relaxed: a statistic. Never below what is leased, though the writer may be between its admission and this note.
        Bytes(self.peak.load(Ordering::Relaxed).max(leased))
    }

    /// How many wait, and for how many bytes in sum.
    #[must_use]
    pub fn waiting(&self) -> (u64, Bytes) {
        match self.cell.plain() {
            Some(_) => (0, Bytes::ZERO),
            None => self.cell.read(|ledger| (ledger.waiting(), Bytes(ledger.waiting_bytes))),
        }
    }

    /// The order in which this pool serves.
    #[must_use]
    pub fn fairness(&self) -> Fairness {
        self.fairness
    }

    /// Leases the bytes if they are free and nobody waits before it; never waits.
    ///
    /// Zero bytes are always admitted, even past waiters and by a closed pool, and cost nothing.
    ///
    /// # Errors
    /// [`AcquireError::Full`] if it could go later, [`TooLarge`](AcquireError::TooLarge) if it never can,
    /// [`Closed`](AcquireError::Closed).
    #[inline]
    pub fn try_acquire(&self, request: impl Into<AdmissionRequest>) -> Result<Lease<&MemoryPool>, AcquireError> {
        Lease::try_acquire(self, request)
    }

    /// A future of the lease, for any executor and for none: it waits its turn by its waker alone.
    pub fn acquire_async(&self, request: impl Into<AdmissionRequest>) -> Acquire<&MemoryPool> {
        Acquire::new(self, request)
    }

    /// A lease of bytes that were [detached](Lease::into_bytes) from one, or `None` where fewer are detached: so that a
    /// number made up, or used twice, cannot inflate the pool.
    #[must_use]
    pub fn lease_from_bytes(&self, bytes: Bytes) -> Option<Lease<&MemoryPool>> {
        Lease::from_bytes(self, bytes)
    }

    /// Changes the total, and returns the old one. Lowering below what is leased takes nothing from anybody: available is 0
    /// until leases have paid the debt. Waiters who now fit go; those who never will get [`AcquireError::TooLarge`].
    ///
    /// # Errors
    /// [`PoolError::TotalTooLarge`]. A total of 0 is allowed here: the pool then admits nobody until it is raised again.
    pub fn set_total(&self, total: Bytes) -> Result<Bytes, PoolError> {
        let total = countable(total)?;
        // Relaxed: it comes before the word's exchange, which publishes it. Who enters after that reads the new total there;
        // who entered before is in the queue that this looks through. Several changes at once: their differences add up.
        let old = self.total.swap(total, Ordering::Relaxed);
        self.update(|ledger| {
            let (next, wake) = ledger.with_total(total as i64 - old as i64, self.rules());
            Step::Go((), next, wake)
        });
        Ok(Bytes(old))
    }

    /// Admits nobody from here on: all who wait, and all who come, get [`AcquireError::Closed`]. Leases stay good.
    pub fn close(&self) {
        self.update(|ledger| {
            let (next, wake) = ledger.closed();
            Step::Go((), next, wake)
        });
    }

    /// Whether the pool was closed.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.cell.plain().map_or_else(|| self.cell.read(|ledger| ledger.closed), |plain| plain.closed)
    }

    #[inline]
    fn total(&self) -> u64 {
        // Relaxed: where the newest total matters it was read after an exchange of the word, which orders it (`set_total`).
        self.total.load(Ordering::Relaxed)
    }

    fn free(&self) -> i64 {
        self.cell.plain().map_or_else(|| self.cell.read(|ledger| ledger.free), |plain| plain.free)
    }

    /// [`Cell::update`], with the peak noted.
    fn update<T>(&self, mut step: impl FnMut(&Ledger) -> Step<T>) -> T {
        let mut free = i64::MAX;
        let answer = self.cell.update(|ledger| {
            let step = step(ledger);
            if let Step::Go(_, next, _) = &step {
                free = next.free;
            }
            step
        });
        self.note_peak(free);
        answer
    }

    fn rules(&self) -> Rules {
        Rules { total: self.total(), fairness: self.fairness }
    }
}

fn countable(total: Bytes) -> Result<u64, PoolError> {
    if total.get() > LARGEST_TOTAL { Err(PoolError::TotalTooLarge { requested: total }) } else { Ok(total.get()) }
}

impl fmt::Debug for MemoryPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, waiting_bytes) = self.waiting();
        f.debug_struct("MemoryPool")
            .field("total", &self.total_bytes())
            .field("leased", &self.leased_bytes())
            .field("waiting", &waiting)
            .field("waiting_bytes", &waiting_bytes)
            .field("fairness", &self.fairness)
            .finish_non_exhaustive()
    }
}
