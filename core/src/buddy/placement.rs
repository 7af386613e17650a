//! Placement: which hole a request gets, and what becomes of the rest of it.
//!
//! The best hole within a quarter of a doubling: of the request's own class up to eight holes are looked at, from the
//! lowest address, and the first that fits is taken; then the lowest hole of the first class above that has one. Large
//! requests start at multiples of a unit, 64 to 4096 of which they are long, so that they lie in few words; whether they
//! fit that way is part of choosing the hole, never a shift afterwards.
//!
//! Holes are found through [`hints`](super::hints), looked at in the tree, and the hints are kept up on both sides: an
//! allocation takes its hole out and adds what is left of it, a free takes its neighbours out and adds the joined hole.

use super::class::{class_of, is_short};
use super::geometry::{Need, Run};
use super::hints::Hints;
use super::search::next_free;
use super::tree::Tree;
use super::word::{RADIX_LOG2, ones_up};
use crate::sync::atomic::Ordering;

/// Holes of the request's own class that are looked at before a class above is.
const CANDIDATES: usize = 8;
/// Regions looked at in all: what hints say wrongly is not allowed to cost more.
const LOOKS: usize = 64;
/// Holes that are hinted at again where a hint was wrong.
const REPAIRS: usize = 4;

/// A hole, and the run in it that a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hole: Run,
    pub(super) run: Run,
}

/// What was found in a region.
enum Look {
    Fits(Place),
    Short,
    Nothing,
}

/// The same need at the alignment that large requests are placed at.
pub(super) fn preferred(need: Need) -> Need {
    let log2 = need.granules.ilog2().saturating_sub(6) / RADIX_LOG2 * RADIX_LOG2;
    if need.align.is_power_of_two() { Need { align: need.align.max(1 << log2), ..need } } else { need }
}

/// The place that the hints lead to, if they lead to one.
pub(super) fn find(tree: &Tree, hints: &Hints, need: Need) -> Option<Place> {
    let own = class_of(need.granules);
    let mut looks = LOOKS;
    let place = find_in(tree, hints, own, need, CANDIDATES, &mut looks);
    if place.is_some() {
        return place;
    }
    let mut class = own;
    while let Some(above) = hints.class_from(class + 1) {
        class = above;
        let place = find_in(tree, hints, class, need, CANDIDATES, &mut looks);
        if place.is_some() || looks == 0 {
            return place;
        }
    }
    None
}

/// The lowest hole of `class` that the need fits into; at most `candidates` real holes are looked at.
fn find_in(
    tree: &Tree,
    hints: &Hints,
    class: usize,
    need: Need,
    candidates: usize,
    looks: &mut usize,
) -> Option<Place> {
    let (mut from, mut left) = (0, candidates);
    while left > 0 && *looks > 0 {
        let region = hints.region_from(class, from)?;
        *looks -= 1;
        let span = hints.region(class, region);
        match look(tree, hints, class, region, span, need) {
            Look::Fits(place) => return Some(place),
            Look::Short => left -= 1,
            Look::Nothing => repair(tree, hints, class, region, span),
        }
        from = region + 1;
    }
    None
}

/// What there is of `class` in one of its regions.
fn look(tree: &Tree, hints: &Hints, class: usize, region: u64, span: Run, need: Need) -> Look {
    if is_short(class) {
        return look_short(tree, class, span, need);
    }
    let Some(hole) = long_hole(tree, span) else { return Look::Nothing };
    if hole.start < span.start || class_of(hole.granules()) != class {
        hints.clear(class, region);
        hints.add(hole);
    }
    fit(hole, need).map_or(Look::Short, |run| Look::Fits(Place { hole, run }))
}

/// A hole that is as long as its region, and starts in it, covers the region's last granule.
fn long_hole(tree: &Tree, span: Run) -> Option<Run> {
    if span.end > tree.granules() {
        return None;
    }
    let start = tree.free_since(span.end, 0);
    (start < span.end).then(|| Run { start, end: tree.free_until(span.end, tree.granules()) })
}

/// The holes that start in one group: runs of ones in its word, of which the last may go on behind it.
fn look_short(tree: &Tree, class: usize, span: Run, need: Need) -> Look {
    let mut verdict = Look::Nothing;
    for hole in holes_in_group(tree, span) {
        if let Some(run) = fit(hole, need) {
            return Look::Fits(Place { hole, run });
        }
        if class_of(hole.granules()) == class {
            verdict = Look::Short;
        }
    }
    verdict
}

fn holes_in_group(tree: &Tree, span: Run) -> impl Iterator<Item = Run> {
    // Relaxed: a look; the claim decides.
    let mut word = tree.levels[0].tokens[(span.start >> RADIX_LOG2) as usize].load(Ordering::Relaxed);
    core::iter::from_fn(move || {
        if word == 0 {
            return None;
        }
        let first = word.trailing_zeros();
        let start = span.start + u64::from(first);
        let mut end = start + ones_up(word, first);
        word &= word.wrapping_add(1 << first);
        if end == span.end {
            end = tree.free_until(end, tree.granules());
        }
        Some(Run { start, end })
    })
}

/// Where in the hole the need goes: as low as its alignment allows.
fn fit(hole: Run, need: Need) -> Option<Run> {
    let start = need.next_start(hole.start)?;
    let end = start.checked_add(need.granules)?;
    (end <= hole.end).then_some(Run { start, end })
}

/// The longest hole of the highest class in which the hints lead to one; 0 where they lead to none.
pub(super) fn longest(tree: &Tree, hints: &Hints) -> u64 {
    let in_class = |class| {
        let mut from = 0;
        let regions = core::iter::from_fn(|| {
            let region = hints.region_from(class, from)?;
            from = region + 1;
            Some(hints.region(class, region))
        });
        regions.take(LOOKS).map(|span| longest_in(tree, class, span)).max().filter(|&granules| granules > 0)
    };
    hints.classes_down().find_map(in_class).unwrap_or(0)
}

fn longest_in(tree: &Tree, class: usize, span: Run) -> u64 {
    if is_short(class) {
        return holes_in_group(tree, span).map(Run::granules).max().unwrap_or(0);
    }
    long_hole(tree, span).map_or(0, Run::granules)
}

/// A hint was wrong: takes it away, and hints at what is there instead.
fn repair(tree: &Tree, hints: &Hints, class: usize, region: u64, span: Run) {
    hints.clear(class, region);
    if is_short(class) {
        holes_in_group(tree, span).take(REPAIRS).for_each(|hole| hints.add(hole));
        return;
    }
    let (mut at, limit) = (span.start, span.end + 2 * span.granules());
    for _ in 0..REPAIRS {
        let Some(start) = next_free(tree, at, &mut None).filter(|&start| start < limit) else { return };
        at = tree.free_until(start, tree.granules()).max(start + 1);
        hints.add(Run { start, end: at });
    }
}

/// The hole is no more: takes its hint away, unless another hole of its class starts in the same group.
pub(super) fn forget(tree: &Tree, hints: &Hints, hole: Run) {
    if hole.start >= hole.end {
        return;
    }
    let class = class_of(hole.granules());
    let (region, span) = hints.region_of(class, hole.start);
    let another = |other: Run| class_of(other.granules()) == class;
    if !is_short(class) || !holes_in_group(tree, span).any(another) {
        hints.clear(class, region);
    }
}

/// The place's run was claimed: its hole is gone, what is left of it on both sides is hinted at.
pub(super) fn taken(tree: &Tree, hints: &Hints, place: Place) {
    forget(tree, hints, place.hole);
    hints.add(Run { start: place.hole.start, end: place.run.start });
    hints.add(Run { start: place.run.end, end: place.hole.end });
}

/// The run was freed, and closed: joins it with the holes on both sides. Somebody may have taken of it again: then the hint is
/// wrong, and found out like any other.
pub(super) fn freed(tree: &Tree, hints: &Hints, run: Run) {
    let start = tree.free_since(run.start, 0);
    let end = tree.free_until(run.end, tree.granules());
    forget(tree, hints, Run { start, end: run.start });
    forget(tree, hints, Run { start: run.end, end });
    hints.add(Run { start, end });
}
