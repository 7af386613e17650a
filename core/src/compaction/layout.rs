//! The layout: an arena as a row of segments, each free, movable, or a wall.

use alloc::vec::Vec;

use crate::units::{Bytes, Offset};

/// A block as the planner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Occupant {
    /// Where it begins.
    pub offset: Offset,
    /// What it occupies, in whole granules.
    pub bytes: Bytes,
    /// The alignment that its place must keep; at least a granule.
    pub align: Bytes,
    /// Whether it may move now. A pinned block is a wall.
    pub movable: bool,
}

/// One stretch of the arena.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Segment {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Free,
    /// A block that may move; its number in the caller's order, and its alignment.
    Movable {
        number: usize,
        align: u64,
    },
    /// A pinned block, or something that is neither a block nor free: it is on its way in or out.
    Wall,
}

/// A picture of one arena at one moment.
#[derive(Clone, Debug)]
pub struct Layout {
    pub(super) segments: Vec<Segment>,
}

impl Layout {
    /// The picture of an arena of `capacity` bytes with these blocks and these holes, each in any order. What neither covers
    /// is a wall, and so is a block that overlaps another: a picture taken while others are at work may contradict itself.
    ///
    /// **Complexity**: O(n log n).
    #[must_use]
    pub fn new(
        capacity: Bytes,
        blocks: impl IntoIterator<Item = Occupant>,
        holes: impl IntoIterator<Item = (Offset, Bytes)>,
    ) -> Layout {
        let mut segments: Vec<Segment> = blocks.into_iter().enumerate().map(Segment::of).collect();
        segments.sort_unstable_by_key(Segment::place);
        segments.extend(holes.into_iter().map(Segment::hole));
        segments.retain(|segment| segment.start < segment.end);
        // A stable sort merges what comes as two sorted runs, which holes in address order are.
        segments.sort_by_key(Segment::place);
        Layout { segments: fill_gaps(segments, capacity.get()) }
    }

    /// The block at `offset` has left: what it occupied is free now, one piece with what was free beside it. False where the
    /// picture shows no such block.
    ///
    /// **Complexity**: O(log n) to find it; O(n) where pieces join.
    pub fn vacate(&mut self, offset: Offset) -> bool {
        let at = self.segments.binary_search_by_key(&offset.get(), |segment| segment.start);
        let Some(at) = at.ok().filter(|&at| !self.segments[at].is_free()) else { return false };
        let free_before = at.checked_sub(1).is_some_and(|before| self.segments[before].is_free());
        let free_after = self.segments.get(at + 1).is_some_and(Segment::is_free);
        let (first, last) = (at - usize::from(free_before), at + usize::from(free_after));
        let (start, end) = (self.segments[first].start, self.segments[last].end);
        self.segments[first] = Segment { start, end, kind: Kind::Free };
        self.segments.drain(first + 1..=last);
        true
    }

    /// The bytes of all free segments.
    #[must_use]
    pub fn free_bytes(&self) -> Bytes {
        Bytes(self.segments.iter().filter(|segment| segment.is_free()).map(Segment::length).sum())
    }
}

impl Segment {
    fn of((number, block): (usize, Occupant)) -> Segment {
        let align = block.align.get().max(1);
        let kind = if block.movable { Kind::Movable { number, align } } else { Kind::Wall };
        Segment { start: block.offset.get(), end: block.offset.get() + block.bytes.get(), kind }
    }

    fn hole((offset, bytes): (Offset, Bytes)) -> Segment {
        Segment { start: offset.get(), end: offset.get() + bytes.get(), kind: Kind::Free }
    }

    fn place(&self) -> (u64, u64) {
        (self.start, self.end)
    }

    pub(super) fn length(&self) -> u64 {
        self.end - self.start
    }

    pub(super) fn is_free(&self) -> bool {
        self.kind == Kind::Free
    }

    pub(super) fn is_wall(&self) -> bool {
        self.kind == Kind::Wall
    }

    /// What clearing it would copy.
    pub(super) fn weight(&self) -> u64 {
        if let Kind::Movable { .. } = self.kind { self.length() } else { 0 }
    }
}

/// Walls between the segments wherever nothing is known, and in place of what overlaps.
fn fill_gaps(sorted: Vec<Segment>, capacity: u64) -> Vec<Segment> {
    let mut row: Vec<Segment> = Vec::with_capacity(sorted.len() + 8);
    let mut covered = 0;
    for segment in sorted {
        if segment.start > covered {
            row.push(Segment { start: covered, end: segment.start, kind: Kind::Wall });
        }
        if segment.start >= covered {
            covered = segment.end;
            row.push(segment);
        } else if let Some(last) = row.last_mut() {
            covered = covered.max(segment.end);
            *last = Segment { end: covered, kind: Kind::Wall, ..*last };
        }
    }
    if covered < capacity {
        row.push(Segment { start: covered, end: capacity, kind: Kind::Wall });
    }
    row
}
