//! Seeded schedules: random numbers that can be had again, and yields that stand wherever a test calls for one.
//!
//! A run that fails names its seed; `FREEHOLD_SEED=n` then runs that one alone. There are two ways. With seeded yields all
//! threads run at once: the seed repeats what each does and where it yields, which on one core is nearly the whole schedule.
//! In a [`race`] one thread runs at a time, and the seed says who is next at every place to yield: the schedule is the same
//! each time, but for who goes on where one has to wait for another.

use freehold_cuda::{Clock, Event, Observer};
use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::Duration;

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

/// Perhaps gives the core to another thread, as this thread's stream says; in a race, as the race's seed says.
pub fn perhaps_yield() {
    if RUNNER.with_borrow(|runner| runner.as_ref().map(Runner::pass_on)).is_some() {
        return;
    }
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

/// One who runs in a race.
pub type Run<'a> = Box<dyn FnOnce() + Send + 'a>;

/// One who does this.
pub fn run<'a>(run: impl FnOnce() + Send + 'a) -> Run<'a> {
    Box::new(run)
}

/// How long the one that runs may stand still before it counts as waiting for another.
const STANDSTILL: Duration = Duration::from_micros(500);

/// Runs each on a thread of its own, one at a time: at every [`perhaps_yield`] of theirs the seed says who goes on.
///
/// # Panics
/// With the first of them that panics, once all have ended.
pub fn race(seed: u64, runs: Vec<Run<'_>>) {
    let field = Arc::new(Field::new(seed, runs.len()));
    std::thread::scope(|scope| {
        for (number, run) in runs.into_iter().enumerate() {
            let runner = Runner { number, field: Arc::clone(&field) };
            scope.spawn(move || {
                runner.begin();
                RUNNER.set(Some(runner));
                let _goes = Goes;
                run();
            });
        }
    });
}

thread_local!(static RUNNER: RefCell<Option<Runner>> = const { RefCell::new(None) });

/// The end of a runner, by a panic too.
struct Goes;

impl Drop for Goes {
    fn drop(&mut self) {
        RUNNER.take();
    }
}

/// Who is in a race, and whose turn it is.
struct Field {
    now: Mutex<Now>,
    changed: Condvar,
}

struct Now {
    random: Random,
    running: Vec<usize>,
    /// Those whose threads have not begun yet: nobody's turn comes before.
    missing: usize,
    turn: Option<usize>,
    steps: u64,
}

/// A thread's place in the race.
struct Runner {
    number: usize,
    field: Arc<Field>,
}

impl Field {
    fn new(seed: u64, runners: usize) -> Field {
        let (random, running) = (Random::new(seed, 7), (0..runners).collect());
        let now = Now { random, running, missing: runners, turn: None, steps: 0 };
        Field { now: Mutex::new(now), changed: Condvar::new() }
    }

    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().expect("nothing in here panics")
    }
}

impl Now {
    fn draw(&mut self) {
        let at = (!self.running.is_empty()).then(|| self.random.below(self.running.len() as u64) as usize);
        self.turn = at.map(|at| self.running[at]);
        self.steps += 1;
    }
}

impl Runner {
    fn begin(&self) {
        let mut now = self.field.now();
        now.missing -= 1;
        if now.missing == 0 {
            now.draw();
            self.field.changed.notify_all();
        }
        drop(now);
        self.wait();
    }

    /// Lets the seed say who goes on, and waits for the next turn. Whoever stood still lost its turn and draws nobody.
    fn pass_on(&self) {
        let mut now = self.field.now();
        if now.turn == Some(self.number) {
            now.draw();
            self.field.changed.notify_all();
        }
        drop(now);
        self.wait();
    }

    /// Until it is this one's turn, or whoever has the turn stands still: it waits for one of us. Each round of the loop
    /// follows another's step or ends it.
    fn wait(&self) {
        let mut now = self.field.now();
        while now.turn != Some(self.number) {
            let before = now.steps;
            let (after, waited) = self.field.changed.wait_timeout(now, STANDSTILL).expect("nothing in here panics");
            now = after;
            if waited.timed_out() && now.steps == before && now.missing == 0 {
                now.turn = Some(self.number);
                now.steps += 1;
            }
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        let mut now = self.field.now();
        now.running.retain(|&number| number != self.number);
        if now.turn == Some(self.number) {
            now.draw();
        }
        self.field.changed.notify_all();
    }
}
