//! Last use needs a clock that never runs backwards; how fine it ticks is the engine's choice.
//!
//! Not the time of day: setting the wall clock must not change who is evicted (B5). Not one shared counter: every
//! access of every thread would fight for its cache line.

use std::fmt::Debug;
use std::sync::Arc;
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
    /// What the counter said at tick 0.
    start: u64,
    /// How many nanoseconds pass while the counter counts 2^32: exact to some seconds a century, and scaling is one product.
    scale: u64,
}

impl MonotonicClock {
    /// A clock that started some seconds ago: the counters of two processors may differ a little, and none is to be before the
    /// start.
    #[must_use]
    pub fn new() -> Self {
        let clock = quanta::Clock::new();
        let (start, scale) = (clock.raw().wrapping_sub(1 << 32), clock.delta_as_nanos(0, 1 << 32));
        MonotonicClock { clock, start, scale }
    }
}

impl Default for MonotonicClock {
    fn default() -> Self {
        MonotonicClock::new()
    }
}

impl Clock for MonotonicClock {
    #[inline]
    fn tick(&self) -> u64 {
        let passed = self.clock.raw().wrapping_sub(self.start);
        (u128::from(passed) * u128::from(self.scale) >> 32) as u64
    }
}

/// A manager's clock. Every access reads it, so the usual one is called directly.
#[derive(Debug)]
pub(crate) enum AnyClock {
    Usual(MonotonicClock),
    Given(Arc<dyn Clock>),
}

impl AnyClock {
    pub(crate) fn new(given: Option<Arc<dyn Clock>>) -> Self {
        given.map_or_else(|| AnyClock::Usual(MonotonicClock::new()), AnyClock::Given)
    }

    #[inline]
    pub(crate) fn tick(&self) -> u64 {
        match self {
            AnyClock::Usual(clock) => clock.tick(),
            AnyClock::Given(clock) => ask(&**clock),
        }
    }
}

#[cold]
fn ask(clock: &dyn Clock) -> u64 {
    clock.tick()
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
