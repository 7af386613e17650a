//! Upkeep of the hints: an allocation takes its hole out and adds what is left of it, a free takes its neighbours out and adds the
//! joined hole. A hint that is wrong is taken away where it is met, and no other put in its place: what is there has
//! its own, or gets one when a neighbour is freed, or is found by the complete search. (Looking for it on the spot made the slowest of
//! a thousand allocations of two threads twice as slow.)

use super::class::Class;
use super::geometry::Run;
use super::hints::{Hints, Region};
use super::holes::holes_in_group;
use super::tree::Tree;
use super::word::runs_of;

/// The hole, not an empty one, is no more.
pub(super) fn forget(tree: &Tree, hints: &Hints, hole: Run) {
    forget_region(tree, hints, hints.region_of(hole));
}

/// Takes the hint away, unless another hole of its class starts in the same group.
#[inline]
fn forget_region(tree: &Tree, hints: &Hints, region: Region) {
    let class = hints.class(region.class);
    if !class.short || !starts_another(tree, class, hints.span(region)) {
        hints.clear(region);
    }
}

/// Whether a hole of this class starts in the group.
#[inline]
fn starts_another(tree: &Tree, class: &Class, span: Run) -> bool {
    let (inner, tail) = holes_in_group(tree, span);
    // Whether it is longer than its class is all that matters of a hole that goes on.
    let limit = (tail + class.shortest + class.lengths).min(tree.granules());
    runs_of(inner, class.shortest, class.lengths) != 0
        || (tail < span.end && class.has(tree.free_until(span.end, limit) - tail))
}

/// The run was claimed out of the hole: what is left of it on both sides is hinted at, and the hole no more.
pub(super) fn taken(tree: &Tree, hints: &Hints, hole: Run, run: Run) {
    let gone = hints.region_of(hole);
    let before = left(hints, Run { end: run.start, ..hole }, gone);
    let after = left(hints, Run { start: run.end, ..hole }, gone);
    if !(before | after) {
        forget_region(tree, hints, gone);
    }
}

/// Hints at what is left of a hole, and says whether that has the same hint.
#[inline(always)]
fn left(hints: &Hints, rest: Run, gone: Region) -> bool {
    if rest.is_empty() {
        return false;
    }
    let region = hints.region_of(rest);
    let stays = region == gone;
    if !stays {
        hints.set(region);
    }
    stays
}

/// The run was freed, and closed: joins it with the holes on both sides. Somebody may have taken of it again: then the hint is
/// wrong, and found out like any other.
pub(super) fn freed(tree: &Tree, hints: &Hints, run: Run) {
    let joined = Run { start: tree.free_since(run.start, 0), end: tree.free_until(run.end, tree.granules()) };
    let region = hints.region_of(joined);
    for neighbour in [Run { end: run.start, ..joined }, Run { start: run.end, ..joined }] {
        if !neighbour.is_empty() {
            let gone = hints.region_of(neighbour);
            if gone != region {
                forget_region(tree, hints, gone);
            }
        }
    }
    hints.set(region);
}

#[cfg(all(test, not(freehold_loom)))]
mod tests {
    use super::super::search::holes;
    use super::super::{Buddy, Geometry, Request};
    use crate::units::{Bytes, Offset};
    use alloc::vec::Vec;

    /// Holes, and those of them without a hint.
    fn count(buddy: &Buddy) -> (usize, usize) {
        let hinted = |hole| {
            let region = buddy.hints.region_of(hole);
            buddy.hints.regions(region.class).any(|other| other == region)
        };
        let holes: Vec<_> = holes(&buddy.tree).collect();
        (holes.len(), holes.iter().filter(|&&hole| !hinted(hole)).count())
    }

    #[test]
    fn what_one_thread_leaves_free_has_a_hint() {
        for (longest, align) in [(24, 1), (300, 1), (24, 8), (700, 64)] {
            let buddy = Buddy::new(Geometry::new(Bytes(30_000), Bytes(1)).unwrap());
            let (mut slot, mut live, mut random) = (buddy.slot(0).unwrap(), Vec::new(), 7_u64);
            let (mut seen, mut without) = (0, 0);
            for turn in 0..30_000 {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (bytes, aligned) = (1 + (random >> 33) % longest, if random >> 62 == 0 { align } else { 1 });
                if buddy.free_bytes().get() > 6_000 {
                    live.extend(slot.allocate(Request::new(Bytes(bytes)).aligned(Bytes(aligned))));
                }
                if buddy.free_bytes().get() < 9_000 && random >> 61 != 7 {
                    slot.free(live.swap_remove((random >> 40) as usize % live.len()));
                }
                if turn % 100 == 99 {
                    assert!(slot.allocate(Request::new(Bytes(30_000))).is_err(), "it settles what was freed last");
                    let (holes, lost) = count(&buddy);
                    (seen, without) = (seen + holes, without + lost);
                }
            }
            assert!(seen > 10_000, "{seen} holes are too few");
            assert!(without * 1000 < seen, "{without} of {seen} holes have no hint; to {longest}, aligned {align}");
            live.into_iter().for_each(|block| slot.free(block));
        }
    }

    #[test]
    fn what_is_left_before_a_run_keeps_the_hint_of_the_hole() {
        let buddy = Buddy::new(Geometry::new(Bytes(4096), Bytes(1)).unwrap());
        let mut slot = buddy.slot(0).unwrap();
        let walls = [(0, 256), (1029, 4096 - 1029)].map(|(at, bytes)| slot.take(Offset(at), Bytes(bytes)).unwrap());
        let run = slot.allocate(Request::new(Bytes(1)).aligned(Bytes(1024))).unwrap();
        assert_eq!(run.offset(), Offset(1024));
        assert_eq!(count(&buddy), (2, 0), "768 granules and 4, of which the first are of the class that 773 were");
        walls.into_iter().chain([run]).for_each(|block| slot.free(block));
    }
}
