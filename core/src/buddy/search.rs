//! The complete search: it needs no hint, looks at everything that may be free, and misses no hole that stays.
//!
//! A run is looked for from the lowest address up. From the first free granule at or after `at`, the window of the
//! request is read from its *end* backwards: the first taken granule met rules out every window that contains it, so what
//! is taken is skipped in steps as long as the request. What is taken and has no free granule below is skipped through
//! the *below* marks, whole words at a time.

use super::desk::Section;
use super::geometry::{Need, Run};
use super::release::mark_above;
use super::tree::{Piece, Tree};
use super::word::{bit_of, ones, word_of};
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
        let words = &tree.levels[level];
        let place = at >> words.shift;
        let word = word_of(place);
        // Acquire: pairs with the release of claims and puts (E1, E2), as every look of a search.
        let tokens = words.tokens[word].load(Ordering::Acquire);
        let below = words.below.get(word).map_or(0, |below| below.load(Ordering::Acquire));
        let rest = (tokens | below) >> bit_of(place);
        if rest == 0 {
            if tokens | below == 0 {
                clear_mark(tree, level, word, clear);
            }
            at = ((word as u64 + 1) << super::word::RADIX_LOG2) << words.shift;
            level = (level + 1).min(tree.top());
            continue;
        }
        let found = place + u64::from(rest.trailing_zeros());
        at = at.max(found << words.shift);
        if tokens & ones(bit_of(found), 1) != 0 {
            return Some(at);
        }
        level -= 1;
    }
    None
}

/// Takes away the mark above an empty word. In between, the mark may be missing wrongly, so this is a section.
fn clear_mark(tree: &Tree, level: usize, word: usize, clear: &mut Option<Section<'_>>) {
    let (Some(section), Some(above)) = (clear, tree.levels.get(level + 1)) else { return };
    let mark = &above.below[word_of(word as u64)];
    section.enter();
    // SeqCst E3: before our second look at the tokens; pairs with the put in `release`. Release E2: publishes the section.
    mark.fetch_and(!ones(bit_of(word as u64), 1), Ordering::SeqCst);
    sequentially_consistent();
    let words = &tree.levels[level];
    // SeqCst E3: after the clearing.
    let below = words.below.get(word).map_or(0, |below| below.load(Ordering::SeqCst));
    if words.tokens[word].load(Ordering::SeqCst) | below != 0 {
        mark_above(tree, Piece { level, unit: (word as u64) << super::word::RADIX_LOG2, count: 1 });
    }
}
