//! The owned right to some of a pool's bytes: whoever has it may use them, and when it goes they return.

use alloc::sync::Arc;
use core::fmt;
use core::mem;

use super::MemoryPool;
use super::error::{AcquireError, LeaseError};
use super::fairness::AdmissionRequest;
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::units::Bytes;

/// What leads to a pool and keeps it alive: a borrow, an `Arc`, or a type of your own around one.
pub trait PoolRef: Clone {
    /// The pool, always the same one.
    fn pool(&self) -> &MemoryPool;
}

impl PoolRef for &MemoryPool {
    #[inline]
    fn pool(&self) -> &MemoryPool {
        self
    }
}

impl PoolRef for Arc<MemoryPool> {
    #[inline]
    fn pool(&self) -> &MemoryPool {
        self
    }
}

/// Bytes of a pool that are ours. Having a lease says that its bytes are counted as used, once, until it is released or
/// dropped, on whichever thread. It is not memory, and it cannot be copied.
///
/// ```
/// # use freehold_core::{Bytes, MemoryPool};
/// # let pool = MemoryPool::new(Bytes(100)).unwrap();
/// let mut job = pool.try_acquire(90).unwrap();
/// let frame = job.split(Bytes(30)).unwrap();
/// assert_eq!((job.nbytes(), frame.nbytes()), (Bytes(60), Bytes(30)));
/// job.merge(frame).unwrap();
/// job.shrink(Bytes(40)).unwrap();
/// assert_eq!(pool.available_bytes(), Bytes(50));
/// job.release();
/// job.release(); // counts once
/// assert_eq!(pool.available_bytes(), Bytes(100));
/// ```
#[must_use = "a lease that is dropped at once admits nothing"]
pub struct Lease<P: PoolRef> {
    pool: P,
    bytes: Bytes,
    /// 0 until somebody asks.
    id: AtomicU64,
}

impl<P: PoolRef> Lease<P> {
    /// Leases the bytes if they are free now: [`MemoryPool::try_acquire`], for any way of holding the pool.
    ///
    /// # Errors
    /// As [`MemoryPool::try_acquire`].
    #[inline]
    pub fn try_acquire(pool: P, request: impl Into<AdmissionRequest>) -> Result<Lease<P>, AcquireError> {
        let request = request.into();
        pool.pool().take_now(request)?;
        Ok(Lease::of(pool, request.bytes))
    }

    /// A lease of detached bytes: [`MemoryPool::lease_from_bytes`], for any way of holding the pool.
    #[must_use]
    pub fn from_bytes(pool: P, bytes: Bytes) -> Option<Lease<P>> {
        pool.pool().attach(bytes)?;
        Some(Lease::of(pool, bytes))
    }

    /// The lease of bytes that were just taken.
    #[inline]
    pub(super) fn of(pool: P, bytes: Bytes) -> Lease<P> {
        Lease { pool, bytes, id: AtomicU64::new(0) }
    }

    /// How many bytes it holds: 0 after its release.
    #[must_use]
    pub fn nbytes(&self) -> Bytes {
        self.bytes
    }

    /// Its number, no other lease's of the same pool. Drawn when first asked for.
    #[must_use]
    pub fn lease_id(&self) -> u64 {
        // Relaxed: the number publishes nothing.
        let known = self.id.load(Ordering::Relaxed);
        if known != 0 {
            return known;
        }
        let drawn = self.pool.pool().next_lease_id();
        match self.id.compare_exchange(0, drawn, Ordering::Relaxed, Ordering::Relaxed) {
            Ok(_) => drawn,
            Err(first) => first,
        }
    }

    /// How it holds its pool.
    #[must_use]
    pub fn pool(&self) -> &P {
        &self.pool
    }

    /// Gives the bytes back, and to those who wait. A second release, and the drop that follows, find nothing to give.
    #[inline]
    pub fn release(&mut self) {
        self.pool.pool().give_back(mem::take(&mut self.bytes));
    }

    /// Cuts `bytes` off into a lease of their own: for a job that leased all it needs at once and returns it part by part.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn split(&mut self, bytes: Bytes) -> Result<Lease<P>, LeaseError> {
        self.bytes = self.without(bytes)?;
        Ok(Lease::of(self.pool.clone(), bytes))
    }

    /// Takes another lease's bytes into this one.
    ///
    /// # Errors
    /// The other lease, untouched, if it is of another pool.
    pub fn merge(&mut self, mut other: Lease<P>) -> Result<(), Lease<P>> {
        if !core::ptr::eq(self.pool.pool(), other.pool.pool()) {
            return Err(other);
        }
        self.bytes = self.bytes + mem::take(&mut other.bytes);
        Ok(())
    }

    /// Gives `bytes` of it back.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn shrink(&mut self, bytes: Bytes) -> Result<(), LeaseError> {
        self.bytes = self.without(bytes)?;
        self.pool.pool().give_back(bytes);
        Ok(())
    }

    /// Takes `bytes` more if they are free and nobody waits before it; never waits, so it cannot deadlock.
    ///
    /// # Errors
    /// As [`MemoryPool::try_acquire`]; it still holds what it held.
    pub fn try_grow(&mut self, bytes: Bytes) -> Result<(), AcquireError> {
        self.pool.pool().take_now(AdmissionRequest::new(bytes))?;
        self.bytes = self.bytes + bytes;
        Ok(())
    }

    /// Dissolves the lease into a plain number that still counts as leased, for owners that keep their books in words of their
    /// own. [`from_bytes`](Self::from_bytes) forms a lease again, in other portions too; nothing else gives them back.
    #[must_use = "the bytes stay leased until a lease is formed of them again"]
    pub fn into_bytes(mut self) -> Bytes {
        self.pool.pool().detach(self.bytes);
        mem::take(&mut self.bytes)
    }

    fn without(&self, requested: Bytes) -> Result<Bytes, LeaseError> {
        if requested > self.bytes {
            return Err(LeaseError::NotHeld { requested, held: self.bytes });
        }
        Ok(self.bytes - requested)
    }
}

impl<P: PoolRef> Drop for Lease<P> {
    #[inline]
    fn drop(&mut self) {
        self.release();
    }
}

impl<P: PoolRef> fmt::Debug for Lease<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease").field("id", &self.lease_id()).field("bytes", &self.bytes).finish()
    }
}
