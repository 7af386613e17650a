//! May a job enter? One lease for its whole stretch, cut up and put together again as its buffers come and go.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use freehold_core::{Bytes, Fairness};
use freehold_cuda::admission::{Acquire, Owned, OwnedLease};
use freehold_cuda::{Error, MemoryPool, Reservation, VramManager};
use parking_lot::Mutex;

use super::jobs::Plan;
use super::meter::Meter;

/// A part of a job's lease, or the whole.
pub(super) type Share = OwnedLease;

/// How far a job is. Only its own worker moves it on.
enum Stage {
    /// It has not asked yet.
    Outside,
    /// It stands in the pool's queue, since then.
    Waiting { turn: Acquire<Owned>, since: Instant },
    /// It is larger than the pool, and never runs.
    TooLarge,
    /// It holds its lease, less what its buffers hold; so many buffers have not ended.
    Inside { rest: Share, buffers_left: u32 },
    /// All its buffers have ended.
    Over,
}

/// What a worker does whose job is not let in at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// It is a thread of its own, and waits.
    Wait,
    /// It is one of several on one thread: it stays in the queue, and comes back to look.
    ComeBack,
}

/// The pool, and the jobs that pass through it.
pub(super) struct Admission<'t> {
    plan: &'t Plan,
    stages: Vec<Mutex<Stage>>,
    /// Leases say what may be used; the reservation keeps so much free for them.
    pool: Option<(Arc<MemoryPool>, Reservation)>,
}

impl<'t> Admission<'t> {
    /// Carves the pool out of the manager's budget.
    pub(super) fn new(
        manager: &VramManager,
        pool: Option<Bytes>,
        fairness: Fairness,
        plan: &'t Plan,
    ) -> Result<Admission<'t>, Error> {
        let pool = match pool {
            Some(bytes) => {
                let pool = MemoryPool::with_fairness(bytes, fairness).expect("at least a granule");
                Some((Arc::new(pool), manager.reserve(bytes)?))
            }
            None => None,
        };
        let stages = plan.jobs.iter().map(|_| Mutex::new(Stage::Outside)).collect();
        Ok(Admission { plan, stages, pool })
    }

    /// The memory that buffers are taken from.
    pub(super) fn reservation(&self) -> Option<&Reservation> {
        self.pool.as_ref().map(|(_, reservation)| reservation)
    }

    /// The pool's bytes, and the most that was ever leased.
    pub(super) fn figures(&self) -> (u64, u64) {
        self.pool.as_ref().map_or((0, 0), |(pool, _)| (pool.total_bytes().get(), pool.statistics().peak_bytes.get()))
    }

    /// Lets a job in, at its first buffer; where it has been let in or turned away before, nothing happens. False says:
    /// come back when something was released.
    #[must_use]
    pub(super) fn ask(&self, job: usize, patience: Patience, meter: &mut Meter) -> bool {
        let stage = &mut *self.stages[job].lock();
        let (mut turn, since) = match (std::mem::replace(stage, Stage::Over), &self.pool) {
            (Stage::Outside, Some((pool, _))) => (pool.acquire_owned(Bytes(self.plan.jobs[job].peak)), Instant::now()),
            (Stage::Waiting { turn, since }, _) => (turn, since),
            (asked_before, _) => {
                *stage = asked_before;
                return true;
            }
        };
        let answer = match patience {
            Patience::Wait => turn.wait(),
            Patience::ComeBack => match Future::poll(Pin::new(&mut turn), &mut Context::from_waker(Waker::noop())) {
                Poll::Ready(answer) => answer,
                Poll::Pending => {
                    *stage = Stage::Waiting { turn, since };
                    return false;
                }
            },
        };
        *stage = match answer {
            Ok(rest) => {
                let waited = since.elapsed();
                meter.wait.note(waited);
                if self.is_large(job) {
                    meter.wait_large.note(waited);
                }
                Stage::Inside { rest, buffers_left: self.plan.jobs[job].buffers }
            }
            Err(_) => {
                meter.too_large += 1; // the pool is never closed, so nothing else is refused
                Stage::TooLarge
            }
        };
        true
    }

    /// Whether a job asks for a quarter of the pool or more: those that a stream of small ones can starve.
    fn is_large(&self, job: usize) -> bool {
        self.pool.as_ref().is_some_and(|(pool, _)| self.plan.jobs[job].peak >= pool.total_bytes().get() / 4)
    }

    /// Whether the blocks of a job are to be skipped.
    pub(super) fn is_turned_away(&self, job: usize) -> bool {
        matches!(*self.stages[job].lock(), Stage::TooLarge)
    }

    /// The share of a buffer that begins.
    pub(super) fn split(&self, job: usize, reserved: u64) -> Option<Share> {
        match &mut *self.stages[job].lock() {
            Stage::Inside { rest, .. } => rest.split(Bytes(reserved)).ok(),
            _ => None,
        }
    }

    /// Takes back the share of a buffer that never was, or is no more.
    pub(super) fn merge(&self, job: usize, share: Share) {
        if let Stage::Inside { rest, .. } = &mut *self.stages[job].lock() {
            rest.merge(share).expect("there is one pool");
        }
    }

    /// Counts a buffer that has ended; with the last one the whole lease goes.
    pub(super) fn buffer_ended(&self, job: usize) {
        let stage = &mut *self.stages[job].lock();
        if let Stage::Inside { buffers_left, .. } = stage {
            *buffers_left -= 1;
            if *buffers_left == 0 {
                *stage = Stage::Over;
            }
        }
    }

    /// Ends a job whose buffers the trace never releases.
    pub(super) fn abandon(&self, job: usize) {
        *self.stages[job].lock() = Stage::Over;
    }
}
