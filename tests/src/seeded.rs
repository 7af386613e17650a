//! Seeded schedules: random numbers that can be had again, and yields that stand wherever a test calls for one.
//!
//! A run that fails names its seed; `FREEHOLD_SEED=n` then runs that one alone. The seed repeats what each thread does and
//! where it yields, which on one core is nearly the whole schedule.

use freehold_cuda::{Clock, Event, Observer};
use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Runs `run` once for each of `count` seeds, and says which one failed.
pub fn under_seeds(count: u64, run: impl Fn(u64)) {
    let only = std::env::var("FREEHOLD_SEED").ok().and_then(|seed| seed.parse::<u64>().ok());
    let seeds = only.map_or(1..=count, |seed| seed..=seed);
    for seed in seeds {
        let named = NameOnPanic(seed);
        run(seed);
        std::mem::forget(named);
    }
}

struct NameOnPanic(u64);

impl Drop for NameOnPanic {
    fn drop(&mut self) {
        eprintln!("failed under seed {0}: repeat with FREEHOLD_SEED={0}", self.0);
    }
}

/// A stream of numbers (xorshift).
#[derive(Debug)]
pub struct Random(u64);

impl Random {
    /// Streams of different seeds or numbers differ.
    #[must_use]
    pub fn new(seed: u64, number: u64) -> Random {
        Random((seed << 20 ^ number).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// A number below `bound`.
    pub fn below(&mut self, bound: u64) -> u64 {
        (self.draw() >> 11) % bound
    }

    /// Whether, once in `odds`.
    pub fn once_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }
}

thread_local!(static YIELDS: Cell<u64> = const { Cell::new(0) });

/// Gives this thread its stream of yields.
pub fn seed_yields(seed: u64, thread: u64) {
    YIELDS.set(Random::new(seed, thread).draw());
}

/// Perhaps gives the core to another thread, as this thread's stream says.
pub fn perhaps_yield() {
    let mut random = Random(YIELDS.get() | 1);
    YIELDS.set(random.draw());
    if random.once_in(3) {
        std::thread::yield_now();
    }
}

/// The manager asks the clock and tells its observer in the middle of its work: both are places to yield.
#[derive(Debug, Default)]
pub struct Yielding(AtomicU64);

impl Clock for Yielding {
    fn tick(&self) -> u64 {
        perhaps_yield();
        self.0.fetch_add(1, Relaxed) + 1 // Relaxed: a number that is given once
    }
}

impl Observer for Yielding {
    fn event(&self, _: &Event) {
        perhaps_yield();
    }
}
