//! The complete search: it needs no hint, looks at everything that may be free, and misses no hole that stays.
//!
//! A run is looked for from the lowest address up. From the first free granule at or after `at`, the window of the
//! request is read from its *end* backwards: the first taken granule met rules out every window that contains it. What is
//! taken and has no free granule below is skipped through the *below* marks, whole words at a time.
//!
//! A long run covers whole groups, so many that one of every so-manieth is among them, wherever the run lies: then only these
//! groups are looked at, one word each, and a hole too short for the request is mostly not seen at all.

use super::desk::Section;
use super::geometry::{Need, Run};
use super::release::mark_above;
use super::tree::{Piece, Tree, shift};
use super::word::{RADIX, RADIX_LOG2, bit_of, ones};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::sequentially_consistent;

/// The lowest run at or after `from` that satisfies `need`, as it looked while the search passed by.
/// Each turn moves on by at least a granule.
pub(super) fn first_fit(tree: &Tree, need: Need, from: u64, clear: &mut Option<Section<'_>>) -> Option<Run> {
    let mut at = from;
    loop {
        let start = need.next_start(next_hole(tree, need.granules, at, clear)?)?;
        let end = start.checked_add(need.granules).filter(|&end| end <= tree.granules())?;
        match tree.free_since(end, start) {
            free if free <= start => return Some(Run { start, end }),
            free => at = free,
        }
    }
}

/// Where the first hole at or after `at` starts that may be `granules` long; free space that cannot be may be left out.
fn next_hole(tree: &Tree, granules: u64, at: u64, clear: &mut Option<Section<'_>>) -> Option<u64> {
    match whole_groups(granules) {
        0 => next_free(tree, at, clear),
        stride => next_long(tree, stride, at, clear),
    }
}

/// How many whole groups at least lie in `granules` granules, wherever they start.
const fn whole_groups(granules: u64) -> u64 {
    ((granules + 1) >> RADIX_LOG2).saturating_sub(1)
}

/// Where the first hole at or after `at` starts that has a whole group whose number is a multiple of `stride`.
fn next_long(tree: &Tree, stride: u64, at: u64, clear: &mut Option<Section<'_>>) -> Option<u64> {
    let groups = tree.granules() >> RADIX_LOG2;
    let mut group = at.div_ceil(RADIX).next_multiple_of(stride);
    while group < groups {
        let (start, end) = (group << RADIX_LOG2, (group + 1) << RADIX_LOG2);
        if tree.free_since(end, start) <= start {
            return Some(tree.free_since(start, at));
        }
        group += stride;
        if nothing_around(tree, group - stride) {
            let free = next_free(tree, end, clear)?.div_ceil(RADIX);
            if free > group {
                group = free.next_multiple_of(stride);
            }
        }
    }
    None
}

/// Whether neither this group nor one whose mark is in the same word has a token. A guess.
fn nothing_around(tree: &Tree, group: u64) -> bool {
    // Relaxed: `next_free` looks again at what is passed over.
    let none = |word: &AtomicU64| word.load(Ordering::Relaxed) == 0;
    tree.top() > 0 && none(tree.tokens(1, group)) && none(tree.below(1, group))
}

/// The holes of the arena in address order, as they look while it passes by.
pub(super) fn holes(tree: &Tree) -> impl Iterator<Item = Run> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let start = next_free(tree, at, &mut None)?;
        at = tree.free_until(start, tree.granules());
        // A hole that is taken while we look has no length: the next turn goes on behind its first granule.
        at = at.max(start + 1);
        Some(Run { start, end: at })
    })
}

/// The first free granule at or after `at`. Words are visited in ascending order, each at most once a level; what has no
/// mark is not visited. With `clear`, marks that are found to mean nothing are taken away.
pub(super) fn next_free(tree: &Tree, mut at: u64, clear: &mut Option<Section<'_>>) -> Option<u64> {
    let mut level = tree.top();
    while at < tree.granules() {
        let unit = at >> shift(level);
        // Acquire: pairs with the release of claims and puts (E1, E2), as every look of a search.
        let tokens = tree.tokens(level, unit).load(Ordering::Acquire);
        let below = if level == 0 { 0 } else { tree.below(level, unit).load(Ordering::Acquire) };
        let rest = (tokens | below) >> bit_of(unit);
        if rest == 0 {
            let group = unit >> RADIX_LOG2;
            if tokens | below == 0 {
                clear_mark(tree, level, group, clear);
            }
            at = (group + 1) << shift(level + 1);
            level = (level + 1).min(tree.top());
            continue;
        }
        let found = unit + u64::from(rest.trailing_zeros());
        at = at.max(found << shift(level));
        if tokens & ones(bit_of(found), 1) != 0 {
            return Some(at);
        }
        level -= 1;
    }
    None
}

/// Takes away the mark above an empty group. In between, the mark may be missing wrongly, so this is a section.
fn clear_mark(tree: &Tree, level: usize, group: u64, clear: &mut Option<Section<'_>>) {
    let Some(section) = clear.as_mut().filter(|_| level < tree.top()) else { return };
    section.enter();
    // SeqCst E3: before our second look at the tokens; pairs with the put in `release`. Release E2: publishes the section.
    tree.below(level + 1, group).fetch_and(!ones(bit_of(group), 1), Ordering::SeqCst);
    sequentially_consistent();
    let unit = group << RADIX_LOG2;
    // SeqCst E3: after the clearing.
    let below = if level == 0 { 0 } else { tree.below(level, unit).load(Ordering::SeqCst) };
    if tree.tokens(level, unit).load(Ordering::SeqCst) | below != 0 {
        mark_above(tree, Piece { level, unit, count: 1 });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::buddy::release::publish;
    use crate::buddy::slots::Slots;
    use alloc::vec::Vec;

    /// Every granule one after the other.
    fn naive(free: &[bool], need: Need, from: u64) -> Option<Run> {
        let fits = |&start: &u64| {
            let end = (start + need.granules) as usize;
            start.is_multiple_of(need.align) && end <= free.len() && free[start as usize..end].iter().all(|free| *free)
        };
        (from..free.len() as u64).find(fits).map(|start| Run { start, end: start + need.granules })
    }

    #[test]
    fn a_lone_hole_is_found_wherever_it_lies() {
        let slots = Slots::new(1);
        for start in 0..4 * RADIX {
            for end in (start + 1..start + 5 * RADIX).step_by(3) {
                let (tree, hole) = (Tree::new(1000), Run { start, end });
                publish(&tree, hole, &mut slots.everybodys().section());
                let find = |granules| first_fit(&tree, Need { granules, align: 1 }, 0, &mut None);
                assert_eq!((find(hole.granules()), find(hole.granules() + 1)), (Some(hole), None));
            }
        }
    }

    #[test]
    fn the_lowest_run_is_found_whatever_its_length() {
        let slots = Slots::new(1);
        for (salt, granules) in [63, 64, 1000, 4096, 20_000].into_iter().enumerate() {
            let (tree, mut free) = (Tree::new(granules), Vec::new());
            let mut at = 0;
            for turn in salt as u64.. {
                // Taken and free by turns, of lengths between 1 and 512 that have no pattern.
                let length = 1 + ((turn * turn * 0x9E37_79B9) >> 7) % (1 << (turn % 10));
                let end = granules.min(at + length);
                if turn % 2 == 0 {
                    publish(&tree, Run { start: at, end }, &mut slots.everybodys().section());
                }
                free.resize(end as usize, turn % 2 == 0);
                at = end;
                if at == granules {
                    break;
                }
            }
            // As long as each hole there is, and a granule more or less.
            for length in holes(&tree).map(Run::granules).flat_map(|length| length.saturating_sub(1)..=length + 1) {
                for (align, from) in [(1, 0), (1, 77), (64, 0), (3, 5), (256, 1)] {
                    let need = Need { granules: length.max(1), align };
                    let right = naive(&free, need, from);
                    assert_eq!(first_fit(&tree, need, from, &mut None), right, "{need:?} from {from} of {granules}");
                }
            }
        }
    }
}
