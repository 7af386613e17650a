//! What contenders are given to do: one kind of work a file, and here how one thread or several do it.
//!
//! A piece of [`Work`] is one thread's: it keeps what it holds from turn to turn, so that each turn goes on where the last one
//! ended. A [`Lane`] is one contender at one kind of work.

mod burst;
mod larson;
mod pair;
mod pool;
mod tail;

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

pub use burst::Burst;
pub use larson::Larson;
pub use pair::Pair;
pub use pool::Pool;
pub use tail::tail;

use crate::contender::{Allocator, Contender, Shape};
use crate::stopwatch::Stopwatch;

/// What one turn of a lane showed.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Nanoseconds for a pair of allocate and free, or what else the lane measures. With several threads: of all together,
    /// so half of one thread's is what two threads show that do not meet.
    pub ns: f64,
    /// The share of requests that were refused.
    pub refused: f64,
}

/// One contender at one kind of work.
pub struct Lane {
    /// The contender, as the tables name it.
    pub contender: String,
    /// Does so many pairs on each thread.
    pub turn: Box<dyn FnMut(u64) -> Measured>,
}

impl Lane {
    /// The same under a name of its own, where one contender has several lanes in a row.
    #[must_use]
    pub fn named(self, contender: impl Into<String>) -> Lane {
        Lane { contender: contender.into(), ..self }
    }
}

/// One thread's part of a kind of work.
pub trait Work<B>: Send {
    /// Done once before anything is timed: fills the arena as far as the work wants it.
    fn prepare(&mut self, seat: &mut impl Allocator<Block = B>);

    /// `pairs` times allocate and free. How often it was refused.
    fn run(&mut self, seat: &mut impl Allocator<Block = B>, pairs: u64) -> u64;
}

/// One thread alone.
pub fn solo<C: Contender + 'static, W: Work<C::Block> + 'static>(shape: Shape, mut work: W) -> Lane {
    let arena = C::new(shape);
    work.prepare(&mut arena.seat(0));
    let turn = move |pairs| {
        let mut seat = arena.seat(0);
        work.run(&mut seat, pairs / 8);
        let begin = Stopwatch::start(true);
        let refused = work.run(&mut seat, pairs);
        summary(&[(begin.elapsed(), refused)], pairs)
    };
    Lane { contender: C::NAME.to_owned(), turn: Box::new(turn) }
}

/// As many threads as there are pieces of work, each with a seat of its own, at one arena.
pub fn crowd<C, W>(shape: Shape, mut works: Vec<W>) -> Lane
where
    C: Contender + Sync + 'static,
    W: Work<C::Block> + 'static,
{
    let (arena, alone) = (C::new(shape), works.len() == 1);
    for (thread, work) in works.iter_mut().enumerate() {
        work.prepare(&mut arena.seat(thread));
    }
    let turn = move |pairs| {
        let results = together(&mut works, |thread, work, gate| {
            let mut seat = arena.seat(thread);
            work.run(&mut seat, pairs / 8);
            gate.pass();
            let begin = Stopwatch::start(alone);
            let refused = work.run(&mut seat, pairs);
            (begin.elapsed(), refused)
        });
        summary(&results, pairs)
    };
    Lane { contender: C::NAME.to_owned(), turn: Box::new(turn) }
}

/// A thread for each step, which it repeats.
pub fn repeat(contender: impl Into<String>, mut steps: Vec<impl FnMut() + Send + 'static>) -> Lane {
    let alone = steps.len() == 1;
    let turn = move |pairs| {
        let results = together(&mut steps, |_, step, gate| {
            (0..pairs / 8).for_each(|_| step());
            gate.pass();
            let begin = Stopwatch::start(alone);
            (0..pairs).for_each(|_| step());
            (begin.elapsed(), 0)
        });
        summary(&results, pairs)
    };
    Lane { contender: contender.into(), turn: Box::new(turn) }
}

/// The rates of the threads added up, so that one that the system stopped for a while does not count for all.
fn summary(threads: &[(Duration, u64)], pairs: u64) -> Measured {
    let rate: f64 = threads.iter().map(|(time, _)| pairs as f64 / time.as_nanos().max(1) as f64).sum();
    let refused: u64 = threads.iter().map(|(_, refused)| refused).sum();
    Measured { ns: 1.0 / rate, refused: refused as f64 / (pairs * threads.len() as u64) as f64 }
}

/// Where threads wait for one another without sleeping, so that they begin in the same microsecond.
pub(crate) struct Gate {
    missing: AtomicUsize,
}

impl Gate {
    /// Bounded by the slowest thread's warm-up.
    pub(crate) fn pass(&self) {
        // Relaxed both: they agree on a moment, and pass nothing on.
        self.missing.fetch_sub(1, Ordering::Relaxed);
        let mut turns = 0_u32;
        while self.missing.load(Ordering::Relaxed) > 0 {
            turns += 1;
            if turns.is_multiple_of(1024) { thread::yield_now() } else { spin_loop() }
        }
    }
}

/// One thread for each state, all past the gate together; one state is the calling thread's.
pub(crate) fn together<T: Send, R: Send>(states: &mut [T], work: impl Fn(usize, &mut T, &Gate) -> R + Sync) -> Vec<R> {
    let (gate, work) = (&Gate { missing: AtomicUsize::new(states.len()) }, &work);
    if let [state] = states {
        return vec![work(0, state, gate)];
    }
    thread::scope(|scope| {
        let workers: Vec<_> =
            states.iter_mut().enumerate().map(|(index, state)| scope.spawn(move || work(index, state, gate))).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    })
}
