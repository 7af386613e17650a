//! The complete search: it needs no hint, looks at everything that may be free, and misses no hole that stays.
//!
//! A run is looked for from the lowest address up. From the first free granule at or after `at`, the window of the
//! request is read from its *end* backwards: the first taken granule met rules out every window that contains it, so what
//! is taken is skipped in steps as long as the request. What is taken and has no free granule below is skipped through
//! the *below* marks, whole words at a time.

use super::desk::Section;
use super::geometry::{Need, Run};
use super::release::mark_above;
use super::tree::{Piece, Tree, shift};
use super::word::{RADIX_LOG2, bit_of, ones};
use crate::sync::atomic::Ordering;
use crate::sync::sequentially_consistent;

/// The lowest run at or after `from` that satisfies `need`, as it looked while the search passed by.
/// Each turn moves on by at least a granule.
pub(super) fn first_fit(tree: &Tree, need: Need, from: u64, clear: &mut Option<Section<'_>>) -> Option<Run> {
    let mut at = from;
    loop {
        let start = need.next_start(next_free(tree, at, clear)?)?;
        let end = start.checked_add(need.granules).filter(|&end| end <= tree.granules())?;
        match tree.free_since(end, start) {
            free if free <= start => return Some(Run { start, end }),
            free => at = free,
        }
    }
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
