//! Placement: which hole a request gets, and what becomes of the rest of it.
//!
//! The best hole within a quarter of a doubling: of the request's own class up to four holes are looked at, from the
//! lowest address, and the first that fits is taken; then the lowest hole of the first class above that has one. (Eight
//! pack no better; two pack the recorded traces as well, and fill a small arena of random sizes 1% less.) Where it costs no
//! packing, a request starts where it is in few words, see [`preferred`]; whether it fits that way is part of choosing the hole,
//! never a shift afterwards.
//!
//! Holes are found through [`hints`](super::hints), looked at in the tree, and the hints are kept up on both sides: an
//! allocation takes its hole out and adds what is left of it, a free takes its neighbours out and adds the joined hole.

use super::class::class_of;
use super::geometry::{Need, Run};
use super::hints::{Class, Hints, Region};
use super::search::next_free;
use super::tree::Tree;
use super::word::{FULL, RADIX, RADIX_LOG2, ones_down, ones_up, runs_of, starts_of};
use crate::sync::atomic::Ordering;

/// Holes of the request's own class that are looked at before a class above is.
const CANDIDATES: usize = 4;
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

/// The same need at the alignment at which it is cheap to take and to give back, where that costs no packing: a power of two
/// within a group at its own multiples; whole groups, from eight, in whole groups; and what is 64 units long or more in units.
/// (Fewer whole groups in whole groups, or units of which a request is 16 long, cost up to 0.09 of the peak on one trace.)
#[inline]
pub(super) fn preferred(need: Need) -> Need {
    let log2 = need.granules.ilog2();
    let own = need.granules.trailing_zeros();
    let preferred = match need.granules {
        0..RADIX if own == log2 => log2,
        0..RADIX => 0,
        _ if own >= RADIX_LOG2 && log2 >= WHOLE_GROUPS_LOG2 => RADIX_LOG2.max(units_log2(log2)),
        _ => units_log2(log2),
    };
    if need.align.is_power_of_two() { Need { align: need.align.max(1 << preferred), ..need } } else { need }
}

/// Of as many granules and more, requests for whole groups get whole groups.
const WHOLE_GROUPS_LOG2: u32 = RADIX_LOG2 + 3;

/// log2 of the units at whose multiples a request of 2^`log2` granules starts: 64 or more of them long.
const fn units_log2(log2: u32) -> u32 {
    log2.saturating_sub(6) / RADIX_LOG2 * RADIX_LOG2
}

/// The place that the hints lead to, if they lead to one.
#[inline(always)]
pub(super) fn find(tree: &Tree, hints: &Hints, need: Need) -> Option<Place> {
    let mut looks = LOOKS;
    let mut next = hints.class_from(class_of(need.granules));
    while let Some(class) = next {
        let place = find_in(tree, hints, class, need, &mut looks);
        if place.is_some() || looks == 0 {
            return place;
        }
        next = hints.class_from(class + 1);
    }
    None
}

/// The lowest hole of `class` that the need fits into; at most [`CANDIDATES`] real holes are looked at.
#[inline(always)]
fn find_in(tree: &Tree, hints: &Hints, class: usize, need: Need, looks: &mut usize) -> Option<Place> {
    let mut left = CANDIDATES;
    for region in hints.regions(class) {
        if left == 0 || *looks == 0 {
            break;
        }
        *looks -= 1;
        match look(tree, hints, region, need) {
            Look::Fits(place) => return Some(place),
            Look::Short => left -= 1,
            Look::Nothing => repair(tree, hints, region),
        }
    }
    None
}

/// What there is of a class in one of its regions.
#[inline(always)]
fn look(tree: &Tree, hints: &Hints, region: Region, need: Need) -> Look {
    let (class, span) = (hints.class(region.class), hints.span(region));
    if class.short {
        return look_short(tree, class, span, need);
    }
    let hole = long_hole(tree, span);
    if hole.is_empty() {
        return Look::Nothing;
    }
    if hole.start < span.start || !class.has(hole.granules()) {
        hints.clear(region);
        hints.add(hole);
    }
    fit(hole, need).map_or(Look::Short, |run| Look::Fits(Place { hole, run }))
}

/// A hole that is as long as its region, and starts in it, covers the region's last granule. Empty where none does.
fn long_hole(tree: &Tree, span: Run) -> Run {
    if span.end > tree.granules() {
        return Run::EMPTY;
    }
    let start = tree.free_since(span.end, 0);
    if start == span.end { Run::EMPTY } else { Run { start, end: tree.free_until(span.end, tree.granules()) } }
}

/// The holes that start in one group. Those that end in it are runs of ones in its word, asked for all at once; the last may
/// go on behind it.
#[inline(always)]
fn look_short(tree: &Tree, class: &Class, span: Run, need: Need) -> Look {
    let (inner, tail) = holes_in_group(tree, span);
    if let Some(place) = fit_in_group(inner, span, need) {
        return Look::Fits(place);
    }
    let hole = Run { start: tail, end: tree.free_until(span.end, tree.granules()) };
    if tail < span.end
        && let Some(run) = fit(hole, need)
    {
        return Look::Fits(Place { hole, run });
    }
    let one = runs_of(inner, class.shortest, class.lengths) != 0 || (tail < span.end && class.has(hole.granules()));
    if one { Look::Short } else { Look::Nothing }
}

/// The granules of a group that are free in holes that end in it, and the start of the hole that goes up to its end;
/// the group's end where none does.
#[inline]
fn holes_in_group(tree: &Tree, span: Run) -> (u64, u64) {
    // Relaxed: a look; the claim decides.
    let word = tree.group(span.start).load(Ordering::Relaxed);
    let tail = ones_down(word, RADIX as u32 - 1);
    let inner = if tail == RADIX { 0 } else { word & (FULL >> tail) };
    (inner, span.end - tail)
}

/// The lowest hole within a group that the need fits into.
#[inline(always)]
fn fit_in_group(inner: u64, span: Run, need: Need) -> Option<Place> {
    if need.granules >= RADIX {
        return None;
    }
    let mut starts = starts_of(inner, need.granules) & !(inner << 1);
    while starts != 0 {
        let first = starts.trailing_zeros();
        let start = span.start + u64::from(first);
        let hole = Run { start, end: start + ones_up(inner, first) };
        if let Some(run) = fit(hole, need) {
            return Some(Place { hole, run });
        }
        starts &= starts - 1;
    }
    None
}

/// Where in the hole the need goes: as low as its alignment allows.
#[inline(always)]
fn fit(hole: Run, need: Need) -> Option<Run> {
    let start = need.next_start(hole.start)?;
    let end = start.checked_add(need.granules)?;
    (end <= hole.end).then_some(Run { start, end })
}

/// The longest hole of the highest class in which the hints lead to one; 0 where they lead to none.
pub(super) fn longest(tree: &Tree, hints: &Hints) -> u64 {
    let in_class = |class| {
        let regions = hints.regions(class).take(LOOKS);
        regions.map(|region| longest_in(tree, hints, region)).max().filter(|&granules| granules > 0)
    };
    hints.classes_down().find_map(in_class).unwrap_or(0)
}

fn longest_in(tree: &Tree, hints: &Hints, region: Region) -> u64 {
    let span = hints.span(region);
    if hints.class(region.class).short {
        return runs_in_group(tree, span).map(Run::granules).max().unwrap_or(0);
    }
    long_hole(tree, span).granules()
}

/// The holes that start in one group, one after the other.
fn runs_in_group(tree: &Tree, span: Run) -> impl Iterator<Item = Run> {
    let (mut inner, tail) = holes_in_group(tree, span);
    let ending = core::iter::from_fn(move || {
        let first = (inner != 0).then(|| inner.trailing_zeros())?;
        let run =
            Run { start: span.start + u64::from(first), end: span.start + u64::from(first) + ones_up(inner, first) };
        inner &= inner.wrapping_add(1 << first);
        Some(run)
    });
    let last = (tail < span.end).then(|| Run { start: tail, end: tree.free_until(span.end, tree.granules()) });
    ending.chain(last)
}

/// A hint was wrong: takes it away, and hints at what is there instead.
#[cold]
fn repair(tree: &Tree, hints: &Hints, region: Region) {
    hints.clear(region);
    let span = hints.span(region);
    if hints.class(region.class).short {
        runs_in_group(tree, span).take(REPAIRS).for_each(|hole| hints.add(hole));
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
    if hole.start < hole.end {
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

/// The place's run was claimed: its hole is gone, what is left of it on both sides is hinted at.
pub(super) fn taken(tree: &Tree, hints: &Hints, place: Place) {
    hints.add(Run { end: place.run.start, ..place.hole });
    let (gone, rest) = (hints.region_of(place.hole), Run { start: place.run.end, ..place.hole });
    if rest.start < rest.end {
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
        if neighbour.start < neighbour.end {
            let gone = hints.region_of(neighbour);
            if gone != region {
                forget_region(tree, hints, gone);
            }
        }
    }
    hints.set(region);
}
