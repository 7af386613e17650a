//! How long a turn took, and whether it can be believed.
//!
//! A thread alone is measured by its own processor time: it waits for nobody, so on a machine that does nothing else the two
//! are the same, and on one that does, what others took is left out. Several threads are measured by the clock on the wall, from
//! the first one's begin to the last one's end. There a turn in which the system took the processor from one of them, or
//! let one begin late, says nothing about how they meet: it is *disturbed*, and is taken again.

use std::fs;
use std::time::{Duration, Instant};

/// One thread's part of a turn.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    begin: Instant,
    end: Instant,
    own: Option<Duration>,
    interrupted: bool,
}

impl Span {
    /// Measures `work`; `ready` returns when all threads are about to begin theirs.
    pub(crate) fn of<R>(ready: impl FnOnce(), work: impl FnOnce() -> R) -> (Span, R) {
        let (switches, own) = (forced_switches(), own_time());
        ready();
        let begin = Instant::now();
        let result = work();
        let end = Instant::now();
        let own = own_time().zip(own).map(|(now, then)| now - then);
        (Span { begin, end, own, interrupted: forced_switches() != switches }, result)
    }
}

/// What a turn of all threads took, and whether it was disturbed.
pub(crate) fn turn(spans: &[Span]) -> (Duration, bool) {
    if let [Span { own: Some(own), .. }] = spans {
        return (*own, false);
    }
    let first = spans.iter().map(|span| span.begin).min().expect("a thread");
    let last = spans.iter().map(|span| span.begin).max().expect("a thread");
    let wall = spans.iter().map(|span| span.end).max().expect("a thread") - first;
    (wall, spans.iter().any(|span| span.interrupted) || (last - first) * 20 > wall)
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

/// How often the system took the processor from this thread, where it tells.
fn forced_switches() -> Option<u64> {
    let status = fs::read_to_string("/proc/thread-self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("nonvoluntary_ctxt_switches:"))?;
    line.trim().parse().ok()
}
