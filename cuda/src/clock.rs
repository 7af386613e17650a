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

/// The default: the processor's cycle counter where it runs at one pace on all cores, as `quanta` finds out; else the system's
/// monotonic clock, in nanoseconds.
///
/// A tick is what the counter counts. Ticks order uses, and their distances compare: a conversion to nanoseconds would
/// stand between the counter and the note of each use, and make an access 5% longer.
#[derive(Debug)]
pub struct MonotonicClock(quanta::Clock);

impl MonotonicClock {
    /// The processor's clock: all of them tick together.
    #[must_use]
    pub fn new() -> Self {
        MonotonicClock(quanta::Clock::new())
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
        self.0.raw()
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
