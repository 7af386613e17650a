//! The shadow of memory: for each byte, who wrote it last and who has read it since.
//!
//! Kept as intervals that are split where accesses begin and end. An access is checked against what it meets: a read
//! must be ordered after the last write, a write after the last write and every read since.

use crate::clock::{Clock, Stamp};
use std::collections::BTreeMap;
use std::ops::Range;

/// Whether an access reads or writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Read,
    Write,
}

/// One access that was made: when in whose program, and which piece of work it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Touch {
    pub(crate) stamp: Stamp,
    pub(crate) work: u64,
    pub(crate) what: &'static str,
}

/// Two accesses of the same bytes, one of them a write, that nothing orders.
#[derive(Clone, Debug)]
pub(crate) struct Conflict {
    pub(crate) bytes: Range<u64>,
    pub(crate) earlier: Touch,
    pub(crate) earlier_kind: Kind,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Cell {
    end: u64,
    write: Option<Touch>,
    reads: Vec<Touch>,
}

/// Intervals by where they begin; disjoint; bytes that are in none were never touched.
#[derive(Debug, Default)]
pub(crate) struct Shadow(BTreeMap<u64, Cell>);

impl Shadow {
    /// Notes an access and returns what it collides with, the lowest address first.
    pub(crate) fn access(&mut self, bytes: Range<u64>, kind: Kind, touch: Touch, clock: &Clock) -> Option<Conflict> {
        self.split(bytes.start);
        self.split(bytes.end);
        self.fill_gaps(&bytes);
        let mut conflict = None;
        for (&start, cell) in self.0.range_mut(bytes.clone()) {
            let met = cell.meets(kind, clock);
            conflict = conflict.or(met.map(|(earlier, earlier_kind)| Conflict {
                bytes: start..cell.end,
                earlier,
                earlier_kind,
            }));
            cell.note(kind, touch, clock);
        }
        if kind == Kind::Write {
            self.merge(&bytes);
        }
        conflict
    }

    /// An access inside `bytes` that is not ordered before `clock`, if there is one.
    pub(crate) fn unfinished(&self, bytes: Range<u64>, clock: &Clock) -> Option<Touch> {
        let cells = self.0.range(..bytes.end).filter(|(_, cell)| cell.end > bytes.start);
        let mut touches = cells.flat_map(|(_, cell)| cell.write.iter().chain(&cell.reads));
        touches.find(|touch| !clock.covers(touch.stamp)).copied()
    }

    /// Forgets `bytes`: they are gone.
    pub(crate) fn forget(&mut self, bytes: Range<u64>) {
        self.split(bytes.start);
        self.split(bytes.end);
        let inside: Vec<u64> = self.0.range(bytes).map(|(&start, _)| start).collect();
        inside.iter().for_each(|start| drop(self.0.remove(start)));
    }

    /// Makes an interval border at `at`.
    fn split(&mut self, at: u64) {
        let Some((_, cell)) = self.0.range_mut(..at).next_back() else { return };
        if cell.end > at {
            let upper = cell.clone();
            cell.end = at;
            self.0.insert(at, upper);
        }
    }

    /// Gives bytes that were never touched an interval of their own.
    fn fill_gaps(&mut self, bytes: &Range<u64>) {
        let mut at = bytes.start;
        let mut gaps = Vec::new();
        for (&start, cell) in self.0.range(bytes.clone()) {
            if at < start {
                gaps.push(at..start);
            }
            at = cell.end;
        }
        if at < bytes.end {
            gaps.push(at..bytes.end);
        }
        for gap in gaps {
            self.0.insert(gap.start, Cell { end: gap.end, ..Cell::default() });
        }
    }

    /// After a write all its intervals say the same: one is enough.
    fn merge(&mut self, bytes: &Range<u64>) {
        let inside: Vec<u64> = self.0.range(bytes.clone()).map(|(&start, _)| start).collect();
        for start in inside.iter().skip(1) {
            self.0.remove(start);
        }
        if let Some(first) = self.0.get_mut(&bytes.start) {
            first.end = bytes.end;
        }
    }
}

impl Cell {
    fn meets(&self, kind: Kind, clock: &Clock) -> Option<(Touch, Kind)> {
        let open = |touch: &&Touch| !clock.covers(touch.stamp);
        let write = self.write.iter().find(open).map(|&touch| (touch, Kind::Write));
        let read = || self.reads.iter().find(open).map(|&touch| (touch, Kind::Read));
        write.or_else(|| if kind == Kind::Write { read() } else { None })
    }

    fn note(&mut self, kind: Kind, touch: Touch, clock: &Clock) {
        if kind == Kind::Write {
            self.write = Some(touch);
            self.reads.clear();
        } else {
            // A read that is ordered before this one says nothing more: whoever is after this one is after both.
            self.reads.retain(|earlier| !clock.covers(earlier.stamp));
            self.reads.push(touch);
        }
    }
}
