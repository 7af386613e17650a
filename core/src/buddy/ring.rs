//! The ring: the runs that a slot freed last, by exact length, for whoever asks for the same length next.
//!
//! A freed run stays in the tree as it was put, open at its own level, and its slot remembers where. The next allocation of
//! the same length takes it in one compare-exchange: no search, no split, no close. A run that leaves the ring without
//! having been taken is settled: closed, joined with its neighbours, and hinted at (see [`placement`](super::placement)).
//! What stands in a ring is free for everybody meanwhile: it is a hint, and never held.

use crate::sync::hint::{AtomicU64, get, set};

use super::geometry::Run;

/// Buckets of a ring, chosen by a hash of the length.
const BUCKETS_LOG2: u32 = if cfg!(freehold_loom) { 0 } else { 5 };
/// Runs that a bucket remembers.
const DEPTH: usize = if cfg!(freehold_loom) { 1 } else { 4 };
/// Runs of 2^24 granules and more are not worth remembering: an entry has 24 bits for the length and 40 for the start.
const LENGTH_BITS: u32 = 24;

/// Some runs, newest first in each bucket; 0 is none.
#[derive(Debug)]
pub(super) struct Ring {
    /// Granules in all its runs.
    held: AtomicU64,
    buckets: [[AtomicU64; DEPTH]; 1 << BUCKETS_LOG2],
}

impl Ring {
    pub(super) const fn new() -> Ring {
        Ring { held: AtomicU64::new(0), buckets: [const { [const { AtomicU64::new(0) }; DEPTH] }; 1 << BUCKETS_LOG2] }
    }

    /// Takes out a run of exactly this length that starts at a multiple of `align`.
    pub(super) fn pop(&self, granules: u64, align: u64) -> Option<Run> {
        self.bucket(granules).iter().find_map(|entry| {
            let run = unpack(get(entry)).filter(|run| run.granules() == granules)?;
            if align > 1 && !run.start.is_multiple_of(align) {
                return None;
            }
            set(entry, 0);
            set(&self.held, get(&self.held).wrapping_sub(granules));
            Some(run)
        })
    }

    /// Granules in all its runs.
    pub(super) fn held(&self) -> u64 {
        get(&self.held)
    }

    /// Puts a run in, and gives back what it pushed out: the run itself where it is too long.
    pub(super) fn push(&self, run: Run) -> Option<Run> {
        if run.granules() >> LENGTH_BITS != 0 {
            return Some(run);
        }
        let mut carried = run.start << LENGTH_BITS | run.granules();
        for entry in self.bucket(run.granules()) {
            let next = get(entry);
            set(entry, carried);
            carried = next;
            if carried == 0 {
                break;
            }
        }
        let oldest = unpack(carried);
        let left = oldest.map_or(0, Run::granules);
        set(&self.held, get(&self.held).wrapping_add(run.granules()).wrapping_sub(left));
        oldest
    }

    /// Takes everything out.
    pub(super) fn drain(&self) -> impl Iterator<Item = Run> {
        set(&self.held, 0);
        self.buckets.iter().flatten().filter_map(|entry| {
            let run = unpack(get(entry))?;
            set(entry, 0);
            Some(run)
        })
    }

    fn bucket(&self, granules: u64) -> &[AtomicU64; DEPTH] {
        // Fibonacci hashing: neighbouring lengths fall into different buckets.
        let hash = granules.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        &self.buckets[(hash >> (32 - BUCKETS_LOG2)) as usize]
    }
}

fn unpack(entry: u64) -> Option<Run> {
    let (start, granules) = (entry >> LENGTH_BITS, entry & ((1 << LENGTH_BITS) - 1));
    (granules != 0).then_some(Run { start, end: start + granules })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_gives_back_the_same_length_and_pushes_out_the_oldest() {
        let ring = Ring::new();
        let run = |index: u64| Run { start: index * 7, end: index * 7 + 7 };
        for index in 0..DEPTH as u64 {
            assert_eq!(ring.push(run(index)), None);
        }
        assert_eq!(ring.push(run(100)), Some(run(0)));
        assert_eq!(ring.pop(7, 1), Some(run(100)));
        assert_eq!(ring.pop(8, 1), None);
        assert_eq!(ring.pop(7, 5), None, "starts at 7, 14 and 21");
        assert_eq!(ring.drain().count(), DEPTH - 1);
        assert_eq!(ring.pop(7, 1), None);
        let long = Run { start: 0, end: 1 << 24 };
        assert_eq!(ring.push(long), Some(long));
    }
}
