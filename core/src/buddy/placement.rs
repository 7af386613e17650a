//! Placement: which hole a request gets, and where in it.
//!
//! The best hole within an eighth: of the request's own class up to four holes are looked at, from the lowest address, and the
//! first that fits is taken; then the lowest hole of the first class above that has one. (Looking at two packs the recorded traces
//! alike, and exact sizes take a twentieth less time; but powers of two, which want their own multiples, are refused five to
//! twenty times as often in a full arena.) Where it costs no packing, a request starts where it is in few words, see
//! [`preferred`]; whether it fits that way is part of choosing the hole, never a shift afterwards. Only where no hole fits that
//! way, it starts anywhere.
//!
//! Holes are found through [`hints`](super::hints) and looked at in the tree; [`upkeep`](super::upkeep) tells the hints what became
//! of them.

use super::class::{Class, class_of};
use super::geometry::{Need, Run};
use super::hints::{Hints, Region};
use super::holes::{holes_in_group, long_hole, runs_in_group};
use super::tree::Tree;
use super::word::{RADIX, RADIX_LOG2, ones_up, runs_of, starts_of};

/// Holes of one class that are looked at before a class above is.
const CANDIDATES: usize = 4;
/// Regions looked at in all: what hints say wrongly is not allowed to cost more.
const LOOKS: usize = 64;

/// A hole, and the run in it that a request gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hole: Run,
    pub(super) run: Run,
}

impl Place {
    /// With its hole from its beginning: one that begins where its group does may go on before it.
    #[inline(always)]
    fn whole(self, tree: &Tree, span: Run) -> Place {
        let begins = if self.hole.start == span.start { tree.free_since(span.start, 0) } else { self.hole.start };
        Place { hole: Run { start: begins, ..self.hole }, ..self }
    }
}

/// What was found in a region.
enum Look {
    Fits(Place),
    Short,
    Nothing,
}

/// The same need at the alignment at which it is cheap to take and to give back, where that costs no packing: a power of two at its
/// own multiples, up to [`MOST_ALIGNED_LOG2`].
#[inline]
pub(super) fn preferred(need: Need) -> Need {
    if !need.granules.is_power_of_two() || !need.align.is_power_of_two() {
        return need;
    }
    let log2 = need.granules.ilog2().min(MOST_ALIGNED_LOG2);
    Need { align: need.align.max(1 << log2), ..need }
}

/// log2 of the granules at whose multiples a power of two starts at most. Between two and sixteen groups the recorded traces pack
/// alike; at one they pack a little worse, as they do where other lengths are aligned, and where no length is, powers of two take
/// a quarter longer.
const MOST_ALIGNED_LOG2: u32 = RADIX_LOG2 + 2;

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
            Look::Nothing => hints.clear(region),
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

/// The holes that start in one group. Those that end in it are runs of ones in its word, asked for all at once; the last may
/// go on behind it.
#[inline(always)]
fn look_short(tree: &Tree, class: &Class, span: Run, need: Need) -> Look {
    let (inner, tail) = holes_in_group(tree, span);
    if let Some(place) = fit_in_group(inner, span, need) {
        return Look::Fits(place.whole(tree, span));
    }
    let hole = Run { start: tail, end: tree.free_until(span.end, tree.granules()) };
    if tail < span.end
        && let Some(run) = fit(hole, need)
    {
        return Look::Fits(Place { hole, run }.whole(tree, span));
    }
    let one = runs_of(inner, class.shortest, class.lengths) != 0 || (tail < span.end && class.has(hole.granules()));
    if one { Look::Short } else { Look::Nothing }
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
        regions
            .map(|region| longest_in(tree, hints, region))
            .max()
            .filter(|&granules| granules >= hints.class(class).shortest)
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

#[cfg(all(test, not(freehold_loom)))]
mod tests {
    use super::super::{AllocateError, Buddy, Geometry, Request};
    use crate::units::{Bytes, Offset};

    #[test]
    fn a_power_of_two_starts_anywhere_where_no_hole_has_its_multiple() {
        let buddy = Buddy::new(Geometry::new(Bytes(4096), Bytes(1)).unwrap());
        let mut slot = buddy.slot(0).unwrap();
        // Leaves 200 free from 1 on, and 128 from 1001 on.
        let walls = [(0, 1), (201, 800), (1129, 4096 - 1129)];
        let walls = walls.map(|(at, bytes)| slot.take(Offset(at), Bytes(bytes)).unwrap());
        let run = slot.allocate(Request::new(Bytes(128))).unwrap();
        assert_eq!(run.offset(), Offset(1001), "the hole of its own class; a complete search would find the lowest");
        walls.into_iter().chain([run]).for_each(|block| slot.free(block));
    }

    #[test]
    fn a_refusal_names_the_longest_hole_where_a_longer_one_was() {
        let buddy = Buddy::new(Geometry::new(Bytes(16_384), Bytes(1)).unwrap());
        let mut slot = buddy.slot(0).unwrap();
        // The second is taken out of a hole of 8192, which keeps its hint, and leaves 1000 free, and 192 where that hint leads to.
        let walls = [(8192, 8192), (1000, 7000)].map(|(at, bytes)| slot.take(Offset(at), Bytes(bytes)).unwrap());
        let Err(AllocateError::Full { largest_hole, .. }) = slot.allocate(Request::new(Bytes(10_000))) else {
            panic!("10,000 are not free");
        };
        assert_eq!(largest_hole, Bytes(1000));
        walls.into_iter().for_each(|block| slot.free(block));
    }
}
