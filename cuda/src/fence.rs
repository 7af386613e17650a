//! Fences over free memory: which streams may still be at work in a block that its owner has given back.
//!
//! A block may be freed while a kernel still reads it: the next owner's first use is then put behind that stream (F1).
//! Nothing is recorded on the device when memory is freed; here stands only which streams to be behind. What is freed on
//! a stream and reused on the same one waits for nothing.
//!
//! The ranges are disjoint. One is noted before its block goes back to the buddy and taken out when its next owner has
//! got it, so there are never more than free blocks, and where no streams are used there are none.
//!
//! The map is immutable and replaced as a whole, as the admission pool's ledger is: a free and an allocation are lock-free,
//! here too. A retry means that another thread's free or allocation got through. A map behind a mutex is cheaper by the
//! path of nodes that each change copies; but a thread stopped inside it would stop every free of what a stream has used.

use crate::stream::StreamSet;
use arc_swap::ArcSwap;
use rpds::RedBlackTreeMapSync;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// For each range, by where it begins: where it ends, and the streams.
type Ranges = RedBlackTreeMapSync<u64, (u64, StreamSet)>;

/// The streams that free ranges of one arena are behind.
#[derive(Debug)]
pub(crate) struct Fences {
    /// Whether there was ever a range: most managers pass by here. Relaxed: a range is noted before its block is freed and
    /// asked for after it was allocated, and the buddy's Release and Acquire order the two; the map's own loads too.
    any: AtomicBool,
    ranges: ArcSwap<Ranges>,
}

impl Default for Fences {
    fn default() -> Self {
        Fences { any: AtomicBool::new(false), ranges: ArcSwap::from_pointee(Ranges::new_sync()) }
    }
}

impl Fences {
    /// Whoever uses `bytes` next has to be behind `streams`.
    pub(crate) fn note(&self, bytes: Range<u64>, streams: StreamSet) {
        if streams.is_empty() || bytes.is_empty() {
            return;
        }
        self.any.store(true, Relaxed);
        self.change(|ranges| {
            let (rest, older) = cut(ranges, &bytes);
            Some((rest.insert(bytes.start, (bytes.end, streams.union(older))), ()))
        });
    }

    /// Whom the new owner of `bytes` has to be behind. It is told once: the owner remembers it from here on.
    pub(crate) fn take(&self, bytes: Range<u64>) -> StreamSet {
        if !self.any.load(Relaxed) {
            return StreamSet::EMPTY;
        }
        let told = self.change(|ranges| {
            let (rest, streams) = cut(ranges, &bytes);
            (!streams.is_empty()).then_some((rest, streams))
        });
        told.unwrap_or(StreamSet::EMPTY)
    }

    /// Replaces the map by what `change` makes of it; `None` leaves it. Each turn of the loop follows another thread's
    /// change.
    fn change<T>(&self, change: impl Fn(&Ranges) -> Option<(Ranges, T)>) -> Option<T> {
        loop {
            let before = self.ranges.load();
            let (after, result) = change(&before)?;
            let found = self.ranges.compare_and_swap(&*before, Arc::new(after));
            // The guard keeps the old map alive, so its address is nobody else's.
            if Arc::ptr_eq(&found, &before) {
                return Some(result);
            }
        }
    }
}

/// The map without what lies inside `bytes`, and the streams that stood there. What lies outside of it stays.
fn cut(ranges: &Ranges, bytes: &Range<u64>) -> (Ranges, StreamSet) {
    let meets = ranges.range(..bytes.end).rev().take_while(|&(_, &(end, _))| end > bytes.start);
    meets.fold((ranges.clone(), StreamSet::EMPTY), |(mut rest, all), (&start, &(end, streams))| {
        rest = rest.remove(&start);
        if start < bytes.start {
            rest = rest.insert(start, (bytes.start, streams));
        }
        if end > bytes.end {
            rest = rest.insert(bytes.end, (end, streams));
        }
        (rest, all.union(streams))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stream::StreamId;

    fn streams(numbers: &[usize]) -> StreamSet {
        numbers.iter().fold(StreamSet::EMPTY, |set, &number| set.union(StreamId::new(number).into()))
    }

    #[test]
    fn a_range_is_told_once_and_only_where_it_was_noted() {
        let fences = Fences::default();
        fences.note(100..200, streams(&[1]));
        assert_eq!(fences.take(0..100), StreamSet::EMPTY);
        assert_eq!(fences.take(150..160), streams(&[1]));
        assert_eq!(fences.take(150..160), StreamSet::EMPTY);
        assert_eq!(fences.take(0..150), streams(&[1]));
        assert_eq!(fences.take(160..1000), streams(&[1]));
        assert_eq!(fences.take(0..1000), StreamSet::EMPTY);
    }

    #[test]
    fn a_block_over_several_ranges_is_behind_all_their_streams() {
        let fences = Fences::default();
        fences.note(0..100, streams(&[1]));
        fences.note(200..300, streams(&[2]));
        fences.note(50..250, streams(&[3]));
        assert_eq!(fences.take(0..50), streams(&[1]));
        assert_eq!(fences.take(50..51), streams(&[1, 2, 3]));
        assert_eq!(fences.take(250..300), streams(&[2]));
    }

    #[test]
    fn threads_with_blocks_of_their_own_hear_of_these_and_of_no_others() {
        let fences = Fences::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u64 {
                let fences = &fences;
                scope.spawn(move || {
                    for turn in 0..500 {
                        let (start, mine) = (1000 * thread + turn % 7, streams(&[thread as usize]));
                        fences.note(start..start + 100, mine);
                        assert_eq!(fences.take(start..start + 50), mine, "turn {turn}");
                        assert_eq!(fences.take(1000 * thread..1000 * (thread + 1)), mine, "turn {turn}");
                        assert_eq!(fences.take(start..start + 100), StreamSet::EMPTY, "turn {turn}");
                    }
                });
            }
        });
        assert!(fences.ranges.load().is_empty());
    }
}
