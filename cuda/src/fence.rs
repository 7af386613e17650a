//! Fences over free memory: which streams may still be at work in a block that its owner has given back.
//!
//! A block may be freed while a kernel still reads it: the next owner's first use is then put behind that stream (F1).
//! Nothing is recorded on the device when memory is freed; here stands only which streams to be behind. What is freed on
//! a stream and reused on the same one waits for nothing.
//!
//! The ranges are disjoint. One is noted before its block goes back to the buddy and taken out when its next owner has
//! got it, so there are never more than free blocks, and where no streams are used there are none.

use crate::stream::StreamSet;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The streams that free ranges of one arena are behind.
#[derive(Debug, Default)]
pub(crate) struct Fences {
    /// How many ranges there are, to pass by the mutex where there are none. Relaxed: a range is noted before its block is
    /// freed and asked for after it was allocated, and the buddy's Release and Acquire order the two.
    count: AtomicUsize,
    ranges: Mutex<BTreeMap<u64, (u64, StreamSet)>>,
}

impl Fences {
    /// Whoever uses `bytes` next has to be behind `streams`.
    pub(crate) fn note(&self, bytes: Range<u64>, streams: StreamSet) {
        if streams.is_empty() || bytes.is_empty() {
            return;
        }
        let mut ranges = self.ranges.lock();
        let met = cut(&mut ranges, &bytes);
        let mut streams = streams;
        met.iter().for_each(|&(_, older)| streams = streams.union(older));
        ranges.insert(bytes.start, (bytes.end, streams));
        self.count.store(ranges.len(), Relaxed);
    }

    /// Whom the new owner of `bytes` has to be behind. It is told once: the owner remembers it from here on.
    pub(crate) fn take(&self, bytes: Range<u64>) -> StreamSet {
        if self.count.load(Relaxed) == 0 {
            return StreamSet::EMPTY;
        }
        let mut ranges = self.ranges.lock();
        let met = cut(&mut ranges, &bytes);
        self.count.store(ranges.len(), Relaxed);
        met.iter().fold(StreamSet::EMPTY, |all, &(_, streams)| all.union(streams))
    }
}

/// Takes out what lies inside `bytes`; what lies outside of it stays.
fn cut(ranges: &mut BTreeMap<u64, (u64, StreamSet)>, bytes: &Range<u64>) -> Vec<(Range<u64>, StreamSet)> {
    let meets = ranges.range(..bytes.end).rev().take_while(|&(_, &(end, _))| end > bytes.start);
    let met: Vec<_> = meets.map(|(&start, &(end, streams))| (start..end, streams)).collect();
    for (range, streams) in &met {
        ranges.remove(&range.start);
        if range.start < bytes.start {
            ranges.insert(range.start, (bytes.start, *streams));
        }
        if range.end > bytes.end {
            ranges.insert(bytes.end, (range.end, *streams));
        }
    }
    met
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
}
