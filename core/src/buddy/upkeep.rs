//! Upkeep of the hints: an allocation takes its hole out and adds what is left of it, a free takes its neighbours out and adds the
//! joined hole. A hint that is wrong is taken away where it is met, and no other put in its place: what is there has its own, or gets
//! one when a neighbour is freed, or is found by the complete search. (Looking for it on the spot made the slowest of a thousand allocations of two threads twice as slow.)

use super::class::Class;
use super::geometry::Run;
use super::hints::{Hints, Region};
use super::holes::holes_in_group;
use super::tree::Tree;
use super::word::runs_of;

/// The hole is no more: takes its hint away, unless another hole of its class starts in the same group.
pub(super) fn forget(tree: &Tree, hints: &Hints, hole: Run) {
    if !hole.is_empty() {
        forget_region(tree, hints, hints.region_of(hole));
    }
}

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

/// The run was claimed out of the hole: that is gone, what is left of it on both sides is hinted at.
pub(super) fn taken(tree: &Tree, hints: &Hints, hole: Run, run: Run) {
    hints.add(Run { end: run.start, ..hole });
    let (gone, rest) = (hints.region_of(hole), Run { start: run.end, ..hole });
    if !rest.is_empty() {
        let region = hints.region_of(rest);
        if region == gone {
            return;
        }
        hints.set(region);
    }
    forget_region(tree, hints, gone);
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
