//! Waiting for a lease: one future that an executor, a parked thread and a timeout drive alike.
//!
//! It enters the queue at its first poll, so a future that nobody polls asks for nothing. Dropping it at any time is the way
//! to give up: it leaves the queue and passes its turn on, or returns the bytes if they were granted already.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};

use super::error::AcquireError;
use super::fairness::{AdmissionRequest, Place};
use super::lease::{Lease, PoolRef};
use super::passage::Entered;

/// The future of a lease, from [`MemoryPool::acquire_async`](super::MemoryPool::acquire_async).
///
/// Once it has queued it must be polled when woken, or dropped: as long as it is merely kept, the bytes that it is granted are used by nobody.
///
/// **Progress.** Each poll is lock-free; a poll and a drop never wait.
#[must_use = "a future does nothing until it is polled"]
pub struct Acquire<P: PoolRef> {
    pool: P,
    request: AdmissionRequest,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Waiting(Place),
    Done,
}

impl<P: PoolRef> Acquire<P> {
    /// Asks for a lease: [`MemoryPool::acquire_async`](super::MemoryPool::acquire_async), for any way of holding the pool.
    pub fn new(pool: P, request: impl Into<AdmissionRequest>) -> Acquire<P> {
        Acquire { pool, request: request.into(), stage: Stage::New }
    }

    /// How it holds its pool.
    #[must_use]
    pub fn pool(&self) -> &P {
        &self.pool
    }

    /// Whether it stands in the queue, or holds a grant that it has not been polled for.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        matches!(self.stage, Stage::Waiting(_))
    }

    fn advance(&mut self, waker: &Waker) -> Result<Entered, AcquireError> {
        match self.stage {
            Stage::New => self.pool.pool().take_or_wait(self.request, waker),
            Stage::Waiting(place) => self.pool.pool().look(place, self.request, waker),
            Stage::Done => panic!("Acquire polled after it was ready"),
        }
    }
}

// Nothing in it is pinned: it stands in the queue by its place, not by its address.
impl<P: PoolRef> Unpin for Acquire<P> {}

impl<P: PoolRef> Future for Acquire<P> {
    type Output = Result<Lease<P>, AcquireError>;

    /// # Panics
    /// If polled after it was ready.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let entered = self.advance(context.waker());
        self.stage = match entered {
            Ok(Entered::Waiting(place)) => Stage::Waiting(place),
            Ok(Entered::Admitted) | Err(_) => Stage::Done,
        };
        match entered {
            Ok(Entered::Admitted) => Poll::Ready(Ok(Lease::of(self.pool.clone(), self.request.bytes))),
            Ok(Entered::Waiting(_)) => Poll::Pending,
            Err(refused) => Poll::Ready(Err(refused)),
        }
    }
}

impl<P: PoolRef> Drop for Acquire<P> {
    fn drop(&mut self) {
        if let Stage::Waiting(place) = self.stage {
            self.pool.pool().withdraw(place, self.request.bytes);
        }
    }
}

impl<P: PoolRef> fmt::Debug for Acquire<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire").field("request", &self.request).field("stage", &self.stage).finish()
    }
}
