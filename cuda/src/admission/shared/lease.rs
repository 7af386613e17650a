//! A lease of a shared pool: bytes of this process's cell that are ours until released or dropped, or until the process ends.
//!
//! The books know the sum that a process leases and nothing of its parts, so to split and to merge are this process's own affair.

use std::fmt;
use std::mem;
use std::sync::Arc;

use freehold_core::{Bytes, LeaseError};

use super::{Member, SharedPoolError};

/// Bytes of a shared pool that are ours until released or dropped, or until this process ends.
#[must_use = "a lease that is dropped at once admits nothing"]
pub struct SharedLease {
    member: Arc<Member>,
    bytes: Bytes,
}

impl SharedLease {
    /// The lease of bytes that were just taken.
    pub(super) fn of(member: Arc<Member>, bytes: Bytes) -> SharedLease {
        SharedLease { member, bytes }
    }

    /// How many bytes it holds: 0 after its release.
    #[must_use]
    pub fn nbytes(&self) -> Bytes {
        self.bytes
    }

    /// Gives the bytes back; a second release and the drop find nothing to give.
    pub fn release(&mut self) {
        let bytes = mem::take(&mut self.bytes);
        self.member.give_back(bytes);
    }

    /// Cuts `bytes` off into a lease of their own.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn split(&mut self, bytes: Bytes) -> Result<SharedLease, LeaseError> {
        self.bytes = self.without(bytes)?;
        Ok(SharedLease::of(self.member.clone(), bytes))
    }

    /// Takes another lease's bytes into this one.
    ///
    /// # Errors
    /// The other lease, untouched, if it is of another pool.
    pub fn merge(&mut self, mut other: SharedLease) -> Result<(), SharedLease> {
        if !Arc::ptr_eq(&self.member, &other.member) {
            return Err(other);
        }
        self.bytes = self.bytes + mem::take(&mut other.bytes);
        Ok(())
    }

    /// Gives `bytes` of it back, and to those who wait, of whichever process.
    ///
    /// # Errors
    /// [`LeaseError::NotHeld`] if it holds fewer.
    pub fn shrink(&mut self, bytes: Bytes) -> Result<(), LeaseError> {
        self.bytes = self.without(bytes)?;
        self.member.give_back(bytes);
        Ok(())
    }

    /// Takes `bytes` more if they are free and nobody waits; never waits for them, so it cannot deadlock.
    ///
    /// # Errors
    /// As [`SharedPool::try_acquire`](super::SharedPool::try_acquire); it still holds what it held.
    pub fn try_grow(&mut self, bytes: Bytes) -> Result<(), SharedPoolError> {
        self.member.take_now(bytes)?;
        self.bytes = self.bytes + bytes;
        Ok(())
    }

    fn without(&self, requested: Bytes) -> Result<Bytes, LeaseError> {
        if requested > self.bytes {
            return Err(LeaseError::NotHeld { requested, held: self.bytes });
        }
        Ok(self.bytes - requested)
    }
}

impl Drop for SharedLease {
    fn drop(&mut self) {
        self.release();
    }
}

impl fmt::Debug for SharedLease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedLease").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}
