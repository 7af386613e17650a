//! One pool for several processes of a card: what one does not use another may, and who dies gives everything back.
//!
//! The processes join by name a segment in shared memory (`segment`). In it every process has a **cell** with the bytes that it
//! leases, and everyone who waits has a **seat** in one queue in order of arrival (`books`). The truth is in those and in nothing else:
//! free bytes are the total less the cells less the seats that were granted, so any prefix of an operation leaves books that
//! can be read.
//!
//! **What is locked.** Here exact recovery comes before progress: each operation runs under one file lock of the kernel, which
//! a death ends (`locks`). It is held for a few hundred nanoseconds and never while waiting; a process that is stopped (not
//! killed) inside it stops the others until it goes on.
//!
//! **Deaths.** A process locks the byte of its cell for its life: the kernel lets go of it when the process dies, however it
//! dies, and no later process of the same number can be mistaken for it. Who waits is told of a death by the kernel too
//! (`watch`): nobody polls.

mod books;
mod error;
mod lease;
mod locks;
mod segment;
mod watch;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, Bytes};
use parking_lot::Mutex;
use rustix::thread::futex;

pub use error::SharedPoolError;
pub use lease::SharedLease;
use segment::{Everyone, GRANTED, Segment, WAITING};
use watch::Watch;

/// A pool that the processes which joined it share: blocking, in order of arrival.
///
/// A process joins a name once: to join again gives the same pool. After `fork` the child has no part in it: its calls are
/// refused with [`SharedPoolError::Forked`], and the leases that it inherited give nothing back. The processes must see each
/// other's process numbers (one pid namespace), and nobody else may open the segment's file in a member process, because
/// closing a file ends the process's locks on it.
///
/// ```no_run
/// use freehold_core::Bytes;
/// use freehold_cuda::admission::shared::SharedPool;
///
/// let pool = SharedPool::join("decode", Bytes(6 << 30))?;
/// let lease = pool.acquire(Bytes(700 << 20))?;
/// drop(lease);
/// # Ok::<(), freehold_cuda::admission::shared::SharedPoolError>(())
/// ```
#[derive(Clone)]
pub struct SharedPool(Arc<Member>);

/// This process as a member of one pool.
struct Member {
    segment: Segment,
    cell: usize,
    pid: u32,
    watch: Watch,
}

/// A member whose turn it is, in this process and among all.
struct Turn<'m> {
    member: &'m Member,
    _everyone: Everyone,
}

static JOINED: Mutex<BTreeMap<String, Weak<Member>>> = Mutex::new(BTreeMap::new());

impl SharedPool {
    /// Joins the pool `name`, which has `total` bytes, and makes it if nobody is in it.
    ///
    /// # Errors
    /// [`SharedPoolError`]: a segment that is not ours or does not add up, another total than the others joined with, no room.
    pub fn join(name: &str, total: Bytes) -> Result<SharedPool, SharedPoolError> {
        let mut joined = JOINED.lock();
        let known = joined.get(name).and_then(Weak::upgrade).filter(|member| member.pid == std::process::id());
        let member = match known {
            Some(member) => member,
            None => Arc::new(Member::join(name, total)?),
        };
        let installed = Bytes(member.segment.total());
        if installed != total {
            return Err(SharedPoolError::OtherTotal { installed, requested: total });
        }
        joined.insert(name.to_owned(), Arc::downgrade(&member));
        Ok(SharedPool(member))
    }

    /// All the bytes that the processes can lease together.
    #[must_use]
    pub fn total_bytes(&self) -> Bytes {
        Bytes(self.0.segment.total())
    }

    /// The bytes that no process leases at this moment, those of processes that died since included.
    ///
    /// # Errors
    /// [`SharedPoolError::Forked`], [`SharedPoolError::Io`].
    pub fn available_bytes(&self) -> Result<Bytes, SharedPoolError> {
        let turn = self.0.turn()?;
        turn.bury_the_dead()?;
        Ok(Bytes(turn.free()))
    }

    /// Leases the bytes; waits for its turn and for the bytes.
    ///
    /// # Errors
    /// [`AcquireError::TooLarge`] at once if they can never fit; those of [`available_bytes`](Self::available_bytes).
    pub fn acquire(&self, bytes: Bytes) -> Result<SharedLease, SharedPoolError> {
        self.acquire_until(bytes, None)
    }

    /// [`acquire`](Self::acquire), for `timeout` at most.
    ///
    /// # Errors
    /// As `acquire`, and [`AcquireError::TimedOut`].
    pub fn acquire_timeout(&self, bytes: Bytes, timeout: Duration) -> Result<SharedLease, SharedPoolError> {
        self.acquire_until(bytes, Instant::now().checked_add(timeout))
    }

    /// Leases the bytes if they are free and nobody waits; never waits for them.
    ///
    /// # Errors
    /// As `acquire`, and [`AcquireError::Full`].
    pub fn try_acquire(&self, bytes: Bytes) -> Result<SharedLease, SharedPoolError> {
        self.0.take_now(bytes)?;
        Ok(self.lease(bytes))
    }

    fn acquire_until(&self, bytes: Bytes, deadline: Option<Instant>) -> Result<SharedLease, SharedPoolError> {
        let started = Instant::now();
        let turn = self.0.turn()?;
        if turn.take_or_bury(bytes)? {
            return Ok(self.lease(bytes));
        }
        let seat = turn.sit_down(bytes)?;
        drop(turn);
        self.0.watch.ensure(&self.0);
        self.0.sleep_while_waiting(seat, deadline);
        let turn = self.0.turn()?;
        if turn.stand_up(seat) {
            return Ok(self.lease(bytes));
        }
        let available = Bytes(turn.free());
        Err(AcquireError::TimedOut { requested: bytes, available, waited: started.elapsed() }.into())
    }

    fn lease(&self, bytes: Bytes) -> SharedLease {
        SharedLease::of(self.0.clone(), bytes)
    }
}

impl Member {
    fn join(name: &str, total: Bytes) -> Result<Member, SharedPoolError> {
        let (segment, watch) = (Segment::open(name)?, Watch::new()?);
        let everyone = segment.lock()?;
        segment.prepare(total)?;
        let cell = segment.take_cell()?;
        drop(everyone);
        Ok(Member { segment, cell, pid: std::process::id(), watch })
    }

    fn is_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    fn turn(&self) -> Result<Turn<'_>, SharedPoolError> {
        if !self.is_ours() {
            return Err(SharedPoolError::Forked);
        }
        Ok(Turn { member: self, _everyone: self.segment.begin()? })
    }

    fn take_now(&self, bytes: Bytes) -> Result<(), SharedPoolError> {
        let turn = self.turn()?;
        if turn.take_or_bury(bytes)? {
            return Ok(());
        }
        let available = Bytes(turn.free());
        Err(AcquireError::Full { requested: bytes, available, waiting: turn.waiting() }.into())
    }

    fn give_back(&self, bytes: Bytes) {
        if bytes == Bytes::ZERO || !self.is_ours() {
            return;
        }
        match self.turn() {
            Ok(turn) => turn.give(bytes),
            Err(error) => tracing::error!(bytes = bytes.get(), %error, "a shared lease stays until this process ends"),
        }
    }

    /// Returns when the seat is no longer a waiting one, or the time is up.
    fn sleep_while_waiting(&self, seat: usize, deadline: Option<Instant>) {
        let state = self.segment.seat_state(seat);
        // Acquire: pairs with the Release of the grant; the file lock orders all else. Bounded by signals, the grant and the deadline.
        while state.load(std::sync::atomic::Ordering::Acquire) == WAITING {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return;
            }
            let left = left.and_then(|left| futex::Timespec::try_from(left).ok());
            // An error is a reason to look again: it changed, a signal came, the time is up.
            let _ = futex::wait(state, futex::Flags::empty(), WAITING, left.as_ref());
        }
        debug_assert_eq!(state.load(std::sync::atomic::Ordering::Relaxed), GRANTED);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.member.segment.end();
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if let Ok(_turn) = self.turn() {
            self.segment.leave_cell(self.cell);
        }
    }
}

impl fmt::Debug for SharedPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedPool")
            .field("cell", &self.0.cell)
            .field("total", &self.total_bytes())
            .finish_non_exhaustive()
    }
}
