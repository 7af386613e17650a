//! A lease of the pool with books: the core's lease, and the label under which its real use is noted.

use freehold_core::{AcquireError, AdmissionRequest, Bytes, LeaseError, PoolRef};

use super::books::Label;
use super::{Holder, MemoryPool, Owned};

/// Bytes of a pool that are ours until released or dropped: [`freehold_core::Lease`] with a label.
#[derive(Debug)]
#[must_use = "a lease that is dropped at once admits nothing"]
pub struct Lease<P: Holder> {
    core: freehold_core::Lease<P>,
    label: Option<Label>,
}

/// A lease that keeps its pool alive.
pub type OwnedLease = Lease<Owned>;

impl<P: Holder> Lease<P> {
    /// Leases the bytes if they are free now, for any way of holding the pool.
    ///
    /// # Errors
    /// As [`MemoryPool::try_acquire`].
    #[inline]
    pub fn try_acquire(pool: P, request: impl Into<AdmissionRequest>) -> Result<Lease<P>, AcquireError> {
        match freehold_core::Lease::try_acquire(pool.clone(), request) {
            Ok(core) => {
                pool.memory_pool().books.count(true);
                Ok(Lease::of(core))
            }
            Err(refused) => {
                pool.memory_pool().books.count(false);
                Err(refused)
            }
        }
    }

    #[inline]
    pub(super) fn of(core: freehold_core::Lease<P>) -> Lease<P> {
        Lease { core, label: None }
    }

    /// The same lease, whose observed bytes count under `label`.
    pub fn with_label(self, label: &Label) -> Lease<P> {
        Lease { label: Some(label.clone()), ..self }
    }

    /// How many bytes it holds: 0 after its release.
    #[must_use]
    pub fn nbytes(&self) -> Bytes {
        self.core.nbytes()
    }

    /// Its number, no other lease's of the same pool.
    #[must_use]
    pub fn lease_id(&self) -> u64 {
        self.core.lease_id()
    }

    /// The pool that it is of.
    #[must_use]
    pub fn pool(&self) -> &MemoryPool {
        self.core.pool().memory_pool()
    }

    /// Gives the bytes back; a second release and the drop find nothing to give.
    pub fn release(&mut self) {
        self.core.release();
    }

    /// Cuts `bytes` off into a lease of their own, with the same label.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn split(&mut self, bytes: Bytes) -> Result<Lease<P>, LeaseError> {
        Ok(Lease { core: self.core.split(bytes)?, label: self.label.clone() })
    }

    /// Takes another lease's bytes into this one.
    ///
    /// # Errors
    /// The other lease, untouched, if it is of another pool.
    pub fn merge(&mut self, other: Lease<P>) -> Result<(), Lease<P>> {
        let Lease { core, label } = other;
        self.core.merge(core).map_err(|core| Lease { core, label })
    }

    /// Gives `bytes` of it back.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn shrink(&mut self, bytes: Bytes) -> Result<(), LeaseError> {
        self.core.shrink(bytes)
    }

    /// Takes `bytes` more if they are free and nobody waits before it; never waits, so it cannot deadlock.
    ///
    /// # Errors
    /// As [`MemoryPool::try_acquire`]; it still holds what it held.
    pub fn try_grow(&mut self, bytes: Bytes) -> Result<(), AcquireError> {
        let grown = self.core.try_grow(bytes);
        self.pool().books.count(grown.is_ok());
        grown
    }

    /// Notes that the job used `bytes` at its peak, beside the bytes that this lease holds now: so tell it before the lease is
    /// split or shrunk. Undercharging then shows in the [statistics](MemoryPool::statistics).
    pub fn observe(&self, bytes: Bytes) {
        self.pool().books.observe(self.label.as_ref(), self.nbytes(), bytes);
    }

    /// Dissolves the lease into a number that still counts as leased: [`freehold_core::Lease::into_bytes`].
    #[must_use = "the bytes stay leased until a lease is formed of them again"]
    pub fn into_bytes(self) -> Bytes {
        self.core.into_bytes()
    }

    /// A lease of detached bytes, or `None` where fewer are detached.
    #[must_use]
    pub fn from_bytes(pool: P, bytes: Bytes) -> Option<Lease<P>> {
        freehold_core::Lease::from_bytes(pool, bytes).map(Lease::of)
    }
}

const _: () = {
    const fn goes_anywhere<T: Send + Sync + 'static>() {}
    goes_anywhere::<OwnedLease>();
    const fn is_a_way_to_the_pool<P: PoolRef>() {}
    is_a_way_to_the_pool::<&MemoryPool>();
};
