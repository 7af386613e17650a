//! The slowest allocation in a thousand, while threads replace their live sets at random.
//!
//! Of those that were granted: a refusal is another answer, and what comes after it costs far more than it. Each allocation is timed by itself; what two readings of the clock take with nothing between them is subtracted.

use std::time::Instant;

use super::{Lane, Measured, Pool, Work};
use crate::contender::{Allocator, Contender, Shape};
use crate::stopwatch::{self, Span};
use crate::together::together;

/// Allocations of a thread in a turn, at least: twenty are slower than the one that counts.
const LEAST: u64 = 20_000;

/// A lane whose `ns` is the 99.9th percentile of the allocations of all threads.
pub fn tail<C: Contender + Sync + 'static>(shape: Shape, mut pools: Vec<Pool<C::Block>>) -> Lane
where
    C::Block: 'static,
{
    let (arena, threads) = (C::new(shape), pools.len());
    for (thread, pool) in pools.iter_mut().enumerate() {
        pool.prepare(&mut arena.seat(thread));
    }
    let turn = move |pairs: u64| {
        let pairs = pairs.max(LEAST);
        let results = together(&mut pools, |thread, pool, gate| {
            let mut seat = arena.seat(thread);
            let mut times_ns = Vec::with_capacity(pairs as usize);
            pool.run(&mut seat, pairs / 8);
            let (span, refused) = gate.timed(|| timed(pool, &mut seat, pairs, &mut times_ns));
            (span, refused, times_ns)
        });
        let spans: Vec<Span> = results.iter().map(|(span, ..)| *span).collect();
        let refused: u64 = results.iter().map(|(_, refused, _)| refused).sum();
        let mut times_ns: Vec<u64> = results.into_iter().flat_map(|(.., times_ns)| times_ns).collect();
        times_ns.sort_unstable();
        let slow = times_ns[times_ns.len() * 999 / 1000];
        Measured {
            ns: slow.saturating_sub(clock_ns()) as f64,
            refused: refused as f64 / (pairs * pools.len() as u64) as f64,
            disturbed: stopwatch::turn(&spans).1,
        }
    };
    Lane { contender: C::NAME.to_owned(), threads, turn: Box::new(turn) }
}

fn timed<B: Send>(
    pool: &mut Pool<B>,
    seat: &mut impl Allocator<Block = B>,
    pairs: u64,
    times_ns: &mut Vec<u64>,
) -> u64 {
    let mut refused = 0;
    for _ in 0..pairs {
        let bytes = pool.make_room(seat);
        let begin = Instant::now();
        let block = seat.allocate(bytes);
        let time_ns = begin.elapsed().as_nanos() as u64;
        if pool.keep(bytes, block, seat) { times_ns.push(time_ns) } else { refused += 1 }
    }
    refused
}

/// The median of many readings with nothing between them.
fn clock_ns() -> u64 {
    let mut times_ns: Vec<u64> = (0..1001).map(|_| Instant::now().elapsed().as_nanos() as u64).collect();
    times_ns.sort_unstable();
    times_ns[500]
}
