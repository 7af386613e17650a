//! The ring: the few runs that a slot freed last but for the [latest](super::latest), for whoever asks there for the same length.
//!
//! A freed run stays in the tree as it was put, open at its own level, and its slot remembers where. The next allocation of
//! the same length takes it in one compare-exchange: no search, no split, no close. A run that leaves the ring without
//! having been taken is settled: closed, joined with its neighbours, and hinted at (see [`upkeep`](super::upkeep)).
//! What stands in a ring is free for everybody meanwhile: it is a hint, and never held.
//!
//! Runs that are not joined cost packing, the small ones too: rings that keep theirs while their slot searches elsewhere
//! cost up to half the peak of a small arena, and rings that keep 1/512 of it still 1%. So a slot settles all its ring,
//! and its latest run, before it searches, and the ring serves what it is good at: the same lengths coming and going.

use super::geometry::{Need, Run};
use crate::sync::hint::{AtomicU64, get, set};

/// Runs that a ring remembers. More serve bursts no better, for what they put off is paid by the one allocation that
/// settles them all; and 7 packed a little worse than 3.
const DEPTH: usize = if cfg!(freehold_loom) { 1 } else { 3 };
/// Runs of 2^24 granules and more are not worth remembering: an entry has 24 bits for the length and 40 for the start.
const LENGTH_BITS: u32 = 24;

/// Some runs, oldest first.
#[derive(Debug)]
pub(super) struct Ring {
    count: AtomicU64,
    entries: [AtomicU64; DEPTH],
}

impl Ring {
    pub(super) const fn new() -> Ring {
        Ring { count: AtomicU64::new(0), entries: [const { AtomicU64::new(0) }; DEPTH] }
    }

    /// The newest run, if it has exactly this length. It stays.
    #[inline]
    pub(super) fn newest(&self, granules: u64) -> Option<Run> {
        let count = self.count();
        let run = unpack(get(self.entries.get(count.wrapping_sub(1))?));
        (run.granules() == granules && !run.is_empty()).then_some(run)
    }

    /// Takes out the run that [`newest`](Ring::newest) gave.
    #[inline]
    pub(super) fn drop_newest(&self) {
        set(&self.count, get(&self.count).saturating_sub(1));
    }

    /// Takes out the newest run that is just what is needed.
    #[inline]
    pub(super) fn pop(&self, need: Need) -> Option<Run> {
        let count = self.count();
        (0..count).rev().find_map(|index| {
            let run = Some(unpack(get(&self.entries[index]))).filter(|&run| need.is(run))?;
            set(&self.entries[index], get(&self.entries[count - 1]));
            set(&self.count, count as u64 - 1);
            Some(run)
        })
    }

    /// Puts a run in, and gives back what there was no room for: the oldest, or the run itself where it is too long.
    #[inline]
    pub(super) fn push(&self, run: Run) -> Option<Run> {
        if run.granules() >> LENGTH_BITS != 0 {
            return Some(run);
        }
        let count = self.count();
        let entry = run.start << LENGTH_BITS | run.granules();
        if count < DEPTH {
            set(&self.entries[count], entry);
            set(&self.count, count as u64 + 1);
            return None;
        }
        let oldest = unpack(get(&self.entries[0]));
        for pair in self.entries.windows(2) {
            set(&pair[0], get(&pair[1]));
        }
        set(&self.entries[DEPTH - 1], entry);
        Some(oldest).filter(|run| !run.is_empty())
    }

    /// Takes everything out.
    #[inline]
    pub(super) fn drain(&self) -> impl Iterator<Item = Run> {
        let count = self.count();
        if count > 0 {
            set(&self.count, 0);
        }
        self.entries[..count].iter().map(|entry| unpack(get(entry))).filter(|run| !run.is_empty())
    }

    /// Two threads at the shared slot may leave any number here: it is kept in range. And one may see the other's count before
    /// its entry: an entry that nobody has written is an empty run, and left out.
    #[inline]
    fn count(&self) -> usize {
        (get(&self.count) as usize).min(DEPTH)
    }
}

#[inline]
fn unpack(entry: u64) -> Run {
    let (start, granules) = (entry >> LENGTH_BITS, entry & ((1 << LENGTH_BITS) - 1));
    Run { start, end: start + granules }
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
        assert_eq!(ring.pop(Need { granules: 7, align: 1 }), Some(run(100)));
        assert_eq!(ring.pop(Need { granules: 8, align: 1 }), None);
        assert_eq!(ring.pop(Need { granules: 7, align: 14 }), Some(run(2)), "the one that starts at 14");
        assert_eq!(ring.drain().count(), DEPTH - 2);
        assert_eq!(ring.pop(Need { granules: 7, align: 1 }), None);
        let long = Run { start: 0, end: 1 << 24 };
        assert_eq!(ring.push(long), Some(long));
    }

    #[test]
    fn a_count_that_is_seen_before_its_entry_gives_no_run() {
        let ring = Ring::new();
        set(&ring.count, DEPTH as u64);
        assert_eq!((ring.newest(0), ring.pop(Need { granules: 1, align: 1 })), (None, None));
        assert_eq!(ring.push(Run { start: 7, end: 9 }), None, "the oldest was never written");
        assert_eq!(ring.drain().collect::<alloc::vec::Vec<_>>(), [Run { start: 7, end: 9 }]);
    }
}
