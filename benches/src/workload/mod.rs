//! What contenders are given to do: one kind of work a file, and here how one thread or several do it.
//!
//! A piece of [`Work`] is one thread's: it keeps what it holds from turn to turn, so that each turn goes on where the last one
//! ended. A [`Lane`] is one contender at one kind of work.

mod burst;
mod larson;
mod pair;
mod pool;
mod tail;

pub use burst::Burst;
pub use larson::Larson;
pub use pair::Pair;
pub use pool::Pool;
pub use tail::tail;

use crate::contender::{Allocator, Contender, Shape};
use crate::stopwatch::{self, Span};
use crate::together::together;

/// What one turn of a lane showed.
#[derive(Clone, Copy, Debug)]
pub struct Measured {
    /// Nanoseconds for a pair of allocate and free, or what else the lane measures. With several threads: of all together,
    /// so half of one thread's is what two threads show that do not meet.
    pub ns: f64,
    /// The share of requests that were refused.
    pub refused: f64,
    /// Whether the system let the threads not run together: then this says little.
    pub disturbed: bool,
}

/// One contender at one kind of work.
pub struct Lane {
    /// The contender, as the tables name it.
    pub contender: String,
    /// On so many threads.
    pub threads: usize,
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
        summary(&[Span::of(|| {}, || work.run(&mut seat, pairs))], pairs)
    };
    Lane { contender: C::NAME.to_owned(), threads: 1, turn: Box::new(turn) }
}

/// As many threads as there are pieces of work, each with a seat of its own, at one arena.
pub fn crowd<C, W>(shape: Shape, mut works: Vec<W>) -> Lane
where
    C: Contender + Sync + 'static,
    W: Work<C::Block> + 'static,
{
    let (arena, threads) = (C::new(shape), works.len());
    for (thread, work) in works.iter_mut().enumerate() {
        work.prepare(&mut arena.seat(thread));
    }
    let turn = move |pairs| {
        let results = together(&mut works, |thread, work, gate| {
            let mut seat = arena.seat(thread);
            work.run(&mut seat, pairs / 8);
            gate.timed(|| work.run(&mut seat, pairs))
        });
        summary(&results, pairs)
    };
    Lane { contender: C::NAME.to_owned(), threads, turn: Box::new(turn) }
}

/// A thread for each step, which it repeats.
pub fn repeat(contender: impl Into<String>, mut steps: Vec<impl FnMut() + Send + 'static>) -> Lane {
    let threads = steps.len();
    let turn = move |pairs| {
        let results = together(&mut steps, |_, step, gate| {
            (0..pairs / 8).for_each(|_| step());
            gate.timed(|| {
                (0..pairs).for_each(|_| step());
                0
            })
        });
        summary(&results, pairs)
    };
    Lane { contender: contender.into(), threads, turn: Box::new(turn) }
}

/// All threads' spans and refusals as one turn, each of so many pairs.
fn summary(threads: &[(Span, u64)], pairs: u64) -> Measured {
    let spans: Vec<Span> = threads.iter().map(|(span, _)| *span).collect();
    let (time, disturbed) = stopwatch::turn(&spans);
    let refused: u64 = threads.iter().map(|(_, refused)| refused).sum();
    let all = (pairs * threads.len() as u64) as f64;
    Measured { ns: time.as_nanos() as f64 / all, refused: refused as f64 / all, disturbed }
}
