//! How long something took: for one thread alone, of its own processor time; for several, of everybody's time.
//!
//! A thread that waits for nobody takes as much processor time as it takes time on a machine that does nothing else, so on
//! one that does, what others took is left out. Threads that wait for one another are measured by the clock on the wall: their
//! turns are short, and the median of many is what counts.

use std::time::{Duration, Instant};

/// A moment in the life of this thread, or of everybody.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stopwatch {
    Own(Duration),
    Wall(Instant),
}

impl Stopwatch {
    /// Begins; `alone` when this thread waits for no other.
    pub(crate) fn start(alone: bool) -> Stopwatch {
        match own_time().filter(|_| alone) {
            Some(time) => Stopwatch::Own(time),
            None => Stopwatch::Wall(Instant::now()),
        }
    }

    /// What has gone by.
    pub(crate) fn elapsed(self) -> Duration {
        match self {
            Stopwatch::Own(begin) => own_time().unwrap_or_default().saturating_sub(begin),
            Stopwatch::Wall(begin) => begin.elapsed(),
        }
    }
}

/// The processor time of this thread, where the system tells it.
#[cfg(unix)]
fn own_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Some(Duration::new(time.tv_sec as u64, time.tv_nsec as u32))
}

#[cfg(not(unix))]
fn own_time() -> Option<Duration> {
    None
}
