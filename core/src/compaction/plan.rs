//! The plan: the cheapest set of moves that opens a hole.

use alloc::vec::Vec;
use core::cmp::Reverse;
use core::ops::Range;

use super::layout::{Kind, Layout, Segment};
use crate::units::{Bytes, Offset};

/// How many intervals are tried for relocation, cheapest first, before the slide is taken. Each trial costs one pass over
/// the free segments for each block that would move.
const RELOCATION_TRIALS: usize = 4;

/// More blocks than this in one interval are not relocated one by one.
const RELOCATED_BLOCKS: usize = 64;

/// One block's move. The old and the new place may overlap: a block may slide by less than its own length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Move {
    /// The block's number, in the order in which the caller gave the blocks.
    pub block: usize,
    /// Where it is.
    pub from: Offset,
    /// Where it goes.
    pub to: Offset,
    /// What it occupies.
    pub bytes: Bytes,
}

impl Move {
    /// Whether the new place shares bytes with the old one.
    #[must_use]
    pub fn overlaps(&self) -> bool {
        self.from.get().abs_diff(self.to.get()) < self.bytes.get()
    }
}

/// How to open a hole: claim what is free, carry out the moves in their order, and the hole is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Free pieces to claim before anything moves, in ascending order: those of the interval to be cleared, and the places
    /// elsewhere that blocks move to.
    pub claims: Vec<(Offset, Bytes)>,
    /// The moves, in an order in which each block's new place is free or its own when its turn comes.
    pub moves: Vec<Move>,
    /// The hole: in nobody's hands but the planner's once all is done, as is whatever else was claimed or left and not
    /// moved to.
    pub hole: (Offset, Bytes),
}

/// What is asked for, as plain numbers.
#[derive(Clone, Copy)]
struct Need {
    bytes: u64,
    align: u64,
}

impl Plan {
    /// What the moves copy in sum.
    #[must_use]
    pub fn moved_bytes(&self) -> Bytes {
        Bytes(self.moves.iter().map(|step| step.bytes.get()).sum())
    }
}

impl Layout {
    /// The cheapest way found to a hole of `bytes` at `align` that copies no more than `price`, or `None` where no wall-free
    /// interval can give it for that.
    ///
    /// **Complexity**: O(segments), and a pass over the free segments for each of at most 4 * 64 blocks whose relocation
    /// is tried.
    ///
    /// ```
    /// use freehold_core::compaction::{Layout, Occupant};
    /// use freehold_core::{Bytes, Offset};
    ///
    /// let block = Occupant { offset: Offset(512), bytes: Bytes(1024), align: Bytes(512), movable: true };
    /// let holes = [(Offset(0), Bytes(512)), (Offset(1536), Bytes(512))];
    /// let plan = Layout::new(Bytes(2048), [block], holes).open(Bytes(1024), Bytes(512), Bytes(u64::MAX)).unwrap();
    /// assert_eq!(plan.moves[0].to, Offset(0)); // half a length to the left
    /// assert_eq!(plan.hole, (Offset(1024), Bytes(1024)));
    /// ```
    #[must_use]
    pub fn open(&self, bytes: Bytes, align: Bytes, price: Bytes) -> Option<Plan> {
        let need = Need { bytes: bytes.get(), align: align.get().max(1) };
        let slide = self.cheapest_slide(need).filter(|(cost, _)| *cost <= price.get());
        let ceiling = slide.as_ref().map_or(price.get().saturating_add(1), |(cost, _)| *cost);
        let relocation = self.cheapest_relocation(need, ceiling);
        relocation.or_else(|| slide.and_then(|(_, interval)| slide_plan(&self.segments[interval], need)))
    }

    /// The interval with the least to copy among those whose blocks, pushed together, leave a hole; and that cost.
    fn cheapest_slide(&self, need: Need) -> Option<(u64, Range<usize>)> {
        let free = |segment: &Segment| if segment.is_free() { segment.length() } else { 0 };
        let leaves_hole = |interval: &Range<usize>| slide_plan(&self.segments[interval.clone()], need).is_some();
        let cheapest = self.intervals(need.bytes, free).min_by_key(|(cost, _)| *cost);
        // An alignment can spoil the cheapest; with room for its slack no interval is spoilt by it, unless by its blocks'.
        cheapest.filter(|(_, interval)| leaves_hole(interval)).or_else(|| {
            let roomy = self.intervals(need.bytes + need.align, free);
            roomy.filter(|(_, interval)| leaves_hole(interval)).min_by_key(|(cost, _)| *cost)
        })
    }

    /// The cheapest interval, below `ceiling`, all of whose blocks find places elsewhere.
    fn cheapest_relocation(&self, need: Need, ceiling: u64) -> Option<Plan> {
        let cheaper = self.intervals(need.bytes, Segment::length).filter(|(cost, _)| *cost < ceiling);
        let mut tried: Vec<(u64, Range<usize>)> = cheaper.collect();
        if tried.len() > RELOCATION_TRIALS {
            tried.select_nth_unstable_by_key(RELOCATION_TRIALS, |(cost, interval)| (*cost, interval.start));
            tried.truncate(RELOCATION_TRIALS);
        }
        tried.sort_unstable_by_key(|(cost, interval)| (*cost, interval.start));
        tried.into_iter().find_map(|(_, interval)| self.relocate(interval, need))
    }

    /// Every wall-free interval that is just long enough by `measure`, one for each first segment, with what it holds in
    /// movable bytes. Two indices that only go forward: linear in the segments.
    fn intervals<'a>(
        &'a self,
        need: u64,
        measure: impl Fn(&Segment) -> u64 + 'a,
    ) -> impl Iterator<Item = (u64, Range<usize>)> + 'a {
        let (mut end, mut measured, mut cost) = (0, 0, 0);
        (0..self.segments.len()).filter_map(move |start| {
            if end <= start {
                (end, measured, cost) = (start, 0, 0);
            }
            while measured < need && self.segments.get(end).is_some_and(|segment| !segment.is_wall()) {
                measured += measure(&self.segments[end]);
                cost += self.segments[end].weight();
                end += 1;
            }
            let found = (measured >= need).then_some((cost, start..end));
            if start < end {
                measured -= measure(&self.segments[start]);
                cost -= self.segments[start].weight();
            }
            found
        })
    }

    /// Moves every block of `interval` out of it, the largest first, each to the start of the smallest free piece elsewhere
    /// that takes it; `None` where one finds no place.
    fn relocate(&self, interval: Range<usize>, need: Need) -> Option<Plan> {
        let inside = &self.segments[interval.clone()];
        let mut leaving: Vec<&Segment> = inside.iter().filter(|segment| !segment.is_free()).collect();
        if leaving.len() > RELOCATED_BLOCKS {
            return None;
        }
        leaving.sort_unstable_by_key(|segment| Reverse(segment.length()));
        let outside = self.segments[..interval.start].iter().chain(&self.segments[interval.end..]);
        let mut holes: Vec<Segment> = outside.filter(|segment| segment.is_free()).copied().collect();
        let moves: Vec<Move> = leaving.iter().map(|block| place_in(&mut holes, block)).collect::<Option<_>>()?;
        let mut claims: Vec<_> = inside.iter().filter(|segment| segment.is_free()).map(range_of).collect();
        claims.extend(moves.iter().map(|step| (step.to, step.bytes)));
        claims.sort_unstable();
        let hole = hole_between(inside.first()?.start, inside.last()?.end, need)?;
        Some(Plan { claims, moves, hole })
    }
}

/// The blocks of an interval pushed to its left end, and the hole behind them; `None` where alignments leave too little.
fn slide_plan(interval: &[Segment], need: Need) -> Option<Plan> {
    let (mut packed_end, end) = (interval.first()?.start, interval.last()?.end);
    let mut moves = Vec::new();
    for segment in interval {
        let Kind::Movable { number, align } = segment.kind else { continue };
        // Never to the right of where it is: its own place has its alignment.
        let to = packed_end.next_multiple_of(align).min(segment.start);
        moves.push(Move { block: number, from: Offset(segment.start), to: Offset(to), bytes: Bytes(segment.length()) });
        packed_end = to + segment.length();
    }
    let hole = hole_between(packed_end, end, need)?;
    let claims = interval.iter().filter(|segment| segment.is_free()).map(range_of).collect();
    moves.retain(|step| step.from != step.to);
    Some(Plan { claims, moves, hole })
}

/// The first hole for `need` in a free range.
fn hole_between(start: u64, end: u64, need: Need) -> Option<(Offset, Bytes)> {
    let hole = start.next_multiple_of(need.align);
    let fits = hole.checked_add(need.bytes).is_some_and(|hole_end| hole_end <= end);
    fits.then_some((Offset(hole), Bytes(need.bytes)))
}

fn range_of(free: &Segment) -> (Offset, Bytes) {
    (Offset(free.start), Bytes(free.length()))
}

/// Cuts a place for `block` off the smallest of `holes` that takes it.
fn place_in(holes: &mut [Segment], block: &Segment) -> Option<Move> {
    let Kind::Movable { number, align } = block.kind else { return None };
    let fitting = holes.iter_mut().filter(|hole| hole.start.next_multiple_of(align) + block.length() <= hole.end);
    let hole = fitting.min_by_key(|hole| hole.length())?;
    let to = hole.start.next_multiple_of(align);
    // What an alignment skips at the start of the hole stays free, and is not offered again in this plan.
    hole.start = to + block.length();
    Some(Move { block: number, from: Offset(block.start), to: Offset(to), bytes: Bytes(block.length()) })
}
