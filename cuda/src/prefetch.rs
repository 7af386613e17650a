//! Prefetch: a handle's content is brought before it is asked for, by a thread that does nothing else (C14).
//!
//! ```text
//!   prefetch --resident already--> nothing to do
//!      | absent: into the queue, and back to the caller
//!      v
//!   worker: claim --> place --> fill --> resident, unpinned        failed --> absent; the access asks again and hears why
//! ```
//!
//! The same thread brings what comes next (`ahead`), where the manager was built for that; it is asked after an access that
//! had to wait, and after the first use of what it brought.
//!
//! The thread is started by the first prefetch and ends when the manager is closed. The queue holds weak references: a
//! handle that is released before its turn is not brought, and its source is dropped with it (C13).

use crate::error::Error;
use crate::handle::VramHandle;
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::tenancy::Tenancy;
use freehold_core::{Bytes, Residency};
use parking_lot::Mutex;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::thread;

/// How many handles may wait for the worker: a large model's layers. More would only be brought to be evicted again.
const QUEUE_LENGTH: usize = 1024;

/// What a prefetch came to. None of these needs an answer: the access brings whatever the prefetch did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Prefetch {
    /// The content is on the card, or on its way there.
    Resident,
    /// It will be brought when the worker comes to it.
    Queued,
    /// The queue is full, or the system gave no thread: nothing was begun.
    Skipped,
}

/// The queue to the worker, and whether there is one yet.
#[derive(Debug, Default)]
pub(crate) struct Prefetcher {
    worker: Mutex<Worker>,
    asked_ahead: AtomicBool,
}

#[derive(Debug, Default)]
enum Worker {
    #[default]
    NotStarted,
    Running(SyncSender<Job>),
    Ended,
}

/// What the worker may be asked. Weak: it keeps nothing alive.
#[derive(Debug)]
enum Job {
    Bring(Weak<Tenancy>),
    WhatComes(Weak<Inner>),
}

impl VramManager {
    /// Begins to bring `handle`'s content and returns at once. Like an access it makes room, evicting in order, and makes
    /// the entry the hottest; unlike one it pins nothing, so what it brought may leave again before it is used.
    ///
    /// One worker serves one handle after the other: a slow source delays the prefetches behind it, and never an access,
    /// which brings what it needs by itself. A source in the middle of a call is dropped when that call returns.
    ///
    /// # Errors
    /// [`Error::Released`]. Whatever fails later, the source above all, surfaces at the access.
    ///
    /// ```
    /// use freehold_cuda::{Allocation, Bytes, HostBytes, VramManager};
    ///
    /// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
    /// let layer = |n: u8| Allocation::new(Bytes(4096)).source(HostBytes(vec![n; 4096].into()));
    /// let layers = [manager.register(layer(0))?, manager.register(layer(1))?];
    ///
    /// manager.prefetch(&layers[1])?; // comes while the first is used
    /// assert_eq!(layers[0].access()?.as_host_slice(), Some(&[0; 4096][..]));
    /// assert_eq!(layers[1].access()?.as_host_slice(), Some(&[1; 4096][..]));
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    pub fn prefetch(&self, handle: &VramHandle) -> Result<Prefetch, Error> {
        handle.prefetch()
    }
}

impl Prefetcher {
    /// Puts the entry into the queue unless it is there, or on the card.
    pub(crate) fn ask(&self, tenancy: &Arc<Tenancy>) -> Result<Prefetch, Error> {
        match tenancy.entry().residency().snapshot() {
            state if state.is_released() => return Err(Error::Released { key: tenancy.entry().key() }),
            state if matches!(state.residency(), Residency::Resident | Residency::Materialising) => {
                return Ok(Prefetch::Resident);
            }
            _ => {}
        }
        if !tenancy.enter_queue() {
            return Ok(Prefetch::Queued);
        }
        if self.queue(Job::Bring(Arc::downgrade(tenancy))) {
            return Ok(Prefetch::Queued);
        }
        tenancy.leave_queue();
        Ok(Prefetch::Skipped)
    }

    /// Ends the worker after what it is doing now. Not waited for: a source may take its time, or be the one that closes.
    pub(crate) fn end(&self) {
        *self.worker.lock() = Worker::Ended;
    }

    fn queue(&self, job: Job) -> bool {
        let mut worker = self.worker.lock();
        if let Worker::NotStarted = *worker {
            match start() {
                Ok(queue) => *worker = Worker::Running(queue),
                Err(error) => tracing::warn!(%error, "no thread for prefetches"),
            }
        }
        match &*worker {
            Worker::Running(queue) => queue.try_send(job).is_ok(),
            Worker::NotStarted | Worker::Ended => false,
        }
    }
}

fn start() -> std::io::Result<SyncSender<Job>> {
    let (sender, receiver) = sync_channel(QUEUE_LENGTH);
    thread::Builder::new().name("freehold-prefetch".into()).spawn(move || work(&receiver))?;
    Ok(sender)
}

impl Inner {
    /// Asks the worker to bring what comes next, where that is wanted and it was not asked already.
    #[cold]
    pub(crate) fn ask_ahead(self: &Arc<Self>) {
        // Relaxed: it only keeps the request from standing in the queue twice.
        if self.ahead == Bytes::ZERO || self.prefetcher.asked_ahead.swap(true, Relaxed) {
            return;
        }
        if !self.prefetcher.queue(Job::WhatComes(Arc::downgrade(self))) {
            self.prefetcher.asked_ahead.store(false, Relaxed);
        }
    }
}

/// Sleeps until something is asked, and ends when nobody can ask any more.
fn work(queue: &Receiver<Job>) {
    while let Ok(asked) = queue.recv() {
        // A source's panic is an error already (C6); an observer's must not end the worker.
        let done = catch_unwind(AssertUnwindSafe(|| match asked {
            Job::Bring(tenancy) => tenancy.upgrade().map_or(Ok(()), |tenancy| {
                tenancy.leave_queue();
                tenancy.inner().bring_early(&tenancy)
            }),
            Job::WhatComes(inner) => {
                inner.upgrade().iter().for_each(|inner| {
                    inner.prefetcher.asked_ahead.store(false, Relaxed);
                    inner.bring_what_comes(inner.ahead);
                });
                Ok(())
            }
        }));
        if let Ok(Err(error)) = done {
            tracing::debug!(%error, "a prefetch failed; the access will ask again");
        }
    }
}
