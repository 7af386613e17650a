//! Last use needs a clock that never runs backwards; how fine it ticks is the engine's choice.
//!
//! Not the time of day: setting the wall clock must not change who is evicted (B5). Not one shared counter: every
//! access of every thread would fight for its cache line.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

/// A source of monotonic ticks. Equal ticks are fine: ties are broken by age of the handle (B5).
pub trait Clock: Send + Sync + Debug {
    /// The current tick.
    fn tick(&self) -> u64;
}

/// The default: the processor's calibrated cycle counter, in nanoseconds.
#[derive(Debug)]
pub struct MonotonicClock {
    clock: quanta::Clock,
    start: quanta::Instant,
}

impl MonotonicClock {
    /// A clock that starts at tick 0 now.
    #[must_use]
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let start = clock.now();
        MonotonicClock { clock, start }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        MonotonicClock::new()
    }
}

impl Clock for MonotonicClock {
    fn tick(&self) -> u64 {
        self.clock.now().duration_since(self.start).as_nanos() as u64
    }
}

/// A clock that stands still until it is set: for tests and replays, where the event number is the time.
#[derive(Debug, Default)]
pub struct ManualClock(AtomicU64);

impl ManualClock {
    /// A clock at tick 0.
    #[must_use]
    pub const fn new() -> Self {
        ManualClock(AtomicU64::new(0))
    }

    /// Moves the clock to `tick`; a tick before the current one is ignored, so that it stays monotonic.
    pub fn set(&self, tick: u64) {
        // Relaxed: the tick orders nothing but ranks, and ranks are compared at evictions only.
        self.0.fetch_max(tick, Ordering::Relaxed);
    }

    /// Moves the clock one tick on and returns the new tick.
    pub fn advance(&self) -> u64 {
        // Relaxed: as in `set`.
        self.0.fetch_add(1, Ordering::Relaxed) + 1
    }
}

impl Clock for ManualClock {
    fn tick(&self) -> u64 {
        // Relaxed: as in `set`.
        self.0.load(Ordering::Relaxed)
    }
}
