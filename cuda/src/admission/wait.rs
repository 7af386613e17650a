//! Waiting: one future, which an executor polls, or which its own thread polls between two sleeps.
//!
//! A sleeping thread is woken when it was served, when the pool closes and when its request can no longer fit: never to
//! look and sleep again.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, AdmissionRequest, Bytes};

use super::{Holder, Lease};

/// A lease to come: await it, or [`wait`](Self::wait) for it. Dropping it gives up.
#[derive(Debug)]
#[must_use = "a future does nothing until it is polled"]
pub struct Acquire<P: Holder> {
    core: freehold_core::Acquire<P>,
    requested: Bytes,
    /// Set when it first had to wait.
    since: Option<Instant>,
}

impl<P: Holder> Acquire<P> {
    /// Asks for a lease, for any way of holding the pool. Nothing happens before the first poll or wait.
    pub fn new(pool: P, request: impl Into<AdmissionRequest>) -> Acquire<P> {
        let request = request.into();
        Acquire { core: freehold_core::Acquire::new(pool, request), requested: request.bytes, since: None }
    }

    /// Sleeps until it is served.
    ///
    /// # Errors
    /// As [`MemoryPool::acquire`](super::MemoryPool::acquire).
    pub fn wait(self) -> Result<Lease<P>, AcquireError> {
        self.wait_until(None)
    }

    /// Sleeps until it is served, for `timeout` at most.
    ///
    /// # Errors
    /// As [`MemoryPool::acquire_timeout`](super::MemoryPool::acquire_timeout).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Lease<P>, AcquireError> {
        // A time beyond what the clock can say is for ever.
        self.wait_until(Instant::now().checked_add(timeout))
    }

    /// Sleeps until it is served, until `deadline` at the latest.
    ///
    /// # Errors
    /// As [`MemoryPool::acquire_timeout`](super::MemoryPool::acquire_timeout).
    pub fn wait_deadline(self, deadline: Instant) -> Result<Lease<P>, AcquireError> {
        self.wait_until(Some(deadline))
    }

    fn wait_until(mut self, deadline: Option<Instant>) -> Result<Lease<P>, AcquireError> {
        let waker = this_thread();
        let mut context = Context::from_waker(&waker);
        // Bounded by wake-ups: one of ours, and those that the caller's own use of `unpark` left behind.
        loop {
            if let Poll::Ready(served) = Pin::new(&mut self).poll(&mut context) {
                return served;
            }
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.time_is_up());
            }
            thread::park_timeout(left);
        }
    }

    /// It leaves when it is dropped, on return.
    fn time_is_up(&self) -> AcquireError {
        let pool = self.core.pool().memory_pool();
        let waited = self.since.map_or(Duration::ZERO, |since| since.elapsed());
        pool.books.count(false);
        pool.books.note_wait(waited);
        AcquireError::TimedOut { requested: self.requested, available: pool.available_bytes(), waited }
    }
}

impl<P: Holder> Future for Acquire<P> {
    type Output = Result<Lease<P>, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.core).poll(context);
        let books = &self.core.pool().memory_pool().books;
        match &polled {
            Poll::Pending => _ = self.since.get_or_insert_with(Instant::now),
            Poll::Ready(served) => {
                books.count(served.is_ok());
                self.since.into_iter().for_each(|since| books.note_wait(since.elapsed()));
            }
        }
        polled.map_ok(Lease::of)
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

/// The waker of this thread, made once: a wait allocates nothing of its own.
fn this_thread() -> Waker {
    thread_local! {
        static WAKER: Waker = new_waker();
    }
    // A thread that waits while it ends has lost its own.
    WAKER.try_with(Waker::clone).unwrap_or_else(|_| new_waker())
}

fn new_waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}
