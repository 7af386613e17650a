//! Patience: an allocation or an access that waits for memory instead of being refused (E5).
//!
//! Waiting takes nothing and holds nobody up: who waits listens for freed memory and tries again. While somebody waits,
//! every block that a survey finds in the way is marked as wanted, so that its last unpin rings as a free does.

use crate::allocation::Allocation;
use crate::error::Error;
use crate::handle::VramHandle;
use crate::inner::Inner;
use crate::manager::VramManager;
use event_listener::{EventListener, Listener};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;
use std::time::{Duration, Instant};

/// Counts one who waits, as long as it lives.
struct Waiting<'a>(&'a Inner);

impl<'a> Waiting<'a> {
    fn new(inner: &'a Inner) -> Self {
        // SeqCst: from here on surveys mark what is in the way; ours comes after this on our own thread.
        inner.waiting.fetch_add(1, SeqCst);
        // SeqCst: pairs with the fence in `ring`. Either it counts us, or our first attempt sees what it freed.
        fence(SeqCst);
        Waiting(inner)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, SeqCst);
    }
}

impl Inner {
    /// Rings for whoever waits for memory. Where nobody does it is a fence and a load: the bell's list has a lock, and a free
    /// must not wait for one.
    pub(crate) fn ring(&self) {
        // SeqCst: pairs with the fence in `Waiting::new`. What was freed comes before our look at who waits.
        fence(SeqCst);
        // Relaxed: the fence orders it.
        if self.waiting.load(Relaxed) > 0 {
            self.freed.notify(usize::MAX);
        }
    }

    /// Tries, and tries again whenever memory was freed, until `deadline`. What is not a lack of memory ends it at once;
    /// at the deadline the last refusal is the answer.
    pub(crate) fn patiently<T>(
        &self,
        deadline: Option<Instant>,
        mut attempt: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let _waiting = Waiting::new(self);
        loop {
            // Listening before trying: what is freed between the refusal and the wait rings for us.
            let listener = self.freed.listen();
            let refused = match attempt() {
                Err(refused @ Error::OutOfMemory { .. }) => refused,
                other => return other,
            };
            if !wait(listener, deadline) {
                return Err(refused);
            }
        }
    }
}

/// Waits until it rings; `false` at the deadline.
fn wait(listener: EventListener, deadline: Option<Instant>) -> bool {
    let _span = tracing::debug_span!("wait", of = "memory").entered();
    match deadline {
        Some(deadline) => listener.wait_deadline(deadline).is_some(),
        None => {
            listener.wait();
            true
        }
    }
}

impl VramManager {
    /// As [`allocate`](Self::allocate), but waits for memory, for `timeout` at most (E5). Who waits takes nothing meanwhile;
    /// requests that fit go past it.
    ///
    /// # Errors
    /// Those of `allocate`; [`Error::OutOfMemory`] only after the timeout.
    pub fn allocate_timeout(&self, allocation: Allocation, timeout: Duration) -> Result<VramHandle, Error> {
        self.allocate_until(allocation, Instant::now().checked_add(timeout))
    }

    /// As [`allocate_timeout`](Self::allocate_timeout), until a point in time.
    ///
    /// # Errors
    /// Those of [`allocate_timeout`](Self::allocate_timeout).
    pub fn allocate_deadline(&self, allocation: Allocation, deadline: Instant) -> Result<VramHandle, Error> {
        self.allocate_until(allocation, Some(deadline))
    }

    /// As [`allocate`](Self::allocate), but waits for memory. On any executor, no runtime needed; dropping the future gives
    /// up. The load itself, once there is room, runs on the thread that polls.
    ///
    /// # Errors
    /// Those of `allocate`, but never [`Error::OutOfMemory`].
    pub async fn allocate_async(&self, allocation: Allocation) -> Result<VramHandle, Error> {
        let tenancy = self.inner().tenancy(allocation)?;
        let _waiting = Waiting::new(self.inner());
        loop {
            let listener = self.inner().freed.listen();
            match self.inner().first_load(&tenancy) {
                Err(Error::OutOfMemory { .. }) => listener.await,
                other => return other.map(|()| VramHandle::new(tenancy, None)),
            }
        }
    }

    fn allocate_until(&self, allocation: Allocation, deadline: Option<Instant>) -> Result<VramHandle, Error> {
        let tenancy = self.inner().tenancy(allocation)?;
        self.inner().patiently(deadline, || self.inner().first_load(&tenancy))?;
        Ok(VramHandle::new(tenancy, None))
    }
}
