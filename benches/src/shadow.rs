//! The answer before the time: does a contender hand out no byte twice?
//!
//! Threads replace live sets at random under a shadow of the arena, a flag for every granule, which a block's owner raises
//! when it gets the block and lowers before it gives it back. A flag that is up already is an overlap. Small workloads: a
//! contender that passes here may still be unsound; one that fails is not measured.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::contender::{Allocator, Contender, Shape};
use crate::random::{Random, Sizes};
use crate::together::together;

const STEPS: usize = 20_000;
const MOST_LIVE: usize = 200;

struct Shadow {
    flags: Vec<AtomicBool>,
    shape: Shape,
}

impl Shadow {
    fn change(&self, offset: u64, bytes: u64, up: bool, who: &str) {
        assert!(offset + bytes <= self.shape.arena, "{who}: {bytes} bytes at {offset} are outside the arena");
        let first = offset.div_ceil(self.shape.granule);
        let end = (offset + bytes) / self.shape.granule;
        for granule in first..end {
            // Relaxed: each flag is exchanged by itself, and an exchange sees the last one.
            let before = self.flags[granule as usize].swap(up, Ordering::Relaxed);
            assert!(before != up, "{who}: granule {granule} handed out twice");
        }
    }
}

/// Panics with the contender's name where it hands out a granule twice, on so many threads.
pub fn verify<C: Contender + Sync>(threads: usize) {
    let shape = Shape { arena: 64 << 20, granule: 4096 };
    let shadow = Shadow { flags: (0..shape.granules(shape.arena)).map(|_| false.into()).collect(), shape };
    let arena = C::new(shape);
    let mut seeds: Vec<u64> = (0..threads as u64).collect();
    together(&mut seeds, |thread, seed, gate| {
        gate.timed(|| churn(&mut arena.seat(thread), &shadow, *seed, C::NAME));
    });
}

/// [`verify`] for what one thread has alone.
pub fn verify_alone<C: Contender>() {
    let shape = Shape { arena: 64 << 20, granule: 4096 };
    let shadow = Shadow { flags: (0..shape.granules(shape.arena)).map(|_| false.into()).collect(), shape };
    churn(&mut C::new(shape).seat(0), &shadow, 1, C::NAME);
}

fn churn<A: Allocator>(seat: &mut A, shadow: &Shadow, seed: u64, who: &str) {
    let mut random = Random::new(seed);
    let mut live: Vec<(u64, u64, A::Block)> = Vec::new();
    for _ in 0..STEPS {
        if live.len() == MOST_LIVE || (!live.is_empty() && random.below(2) == 0) {
            let (offset, bytes, block) = live.swap_remove(random.below(live.len()));
            shadow.change(offset, bytes, false, who);
            seat.free(block);
            continue;
        }
        let bytes = Sizes::Exact(4096, 2 << 20).draw(&mut random);
        let Some(block) = seat.allocate(bytes) else { continue };
        if let Some(offset) = seat.offset(&block) {
            shadow.change(offset, bytes, true, who);
            live.push((offset, bytes, block));
        }
    }
    for (offset, bytes, block) in live {
        shadow.change(offset, bytes, false, who);
        seat.free(block);
    }
}
