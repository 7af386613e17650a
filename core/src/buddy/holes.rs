//! Holes as the tree shows them in one region, a class of lengths at a time.
//!
//! Shorter than a group, several may start in one region, which is a group then: they are runs of ones in its word, and the last may go
//! on behind it. Longer, one at most starts in a region, and covers the region's last granule.

use super::geometry::Run;
use super::tree::Tree;
use super::word::{FULL, RADIX, ones_down, ones_up};
use crate::sync::atomic::Ordering;

/// A hole that is as long as its region, and starts in it, covers the region's last granule. Empty where none does.
pub(super) fn long_hole(tree: &Tree, span: Run) -> Run {
    if span.end > tree.granules() {
        return Run::EMPTY;
    }
    let start = tree.free_since(span.end, 0);
    if start == span.end { Run::EMPTY } else { Run { start, end: tree.free_until(span.end, tree.granules()) } }
}

/// The granules of a group that are free in holes that end in it, and the start of the hole that goes up to its end;
/// the group's end where none does.
#[inline]
pub(super) fn holes_in_group(tree: &Tree, span: Run) -> (u64, u64) {
    // Relaxed: a look; the claim decides.
    let word = tree.group(span.start).load(Ordering::Relaxed);
    let tail = ones_down(word, RADIX as u32 - 1);
    let inner = if tail == RADIX { 0 } else { word & (FULL >> tail) };
    (inner, span.end - tail)
}

/// The holes that start in one group, one after the other.
pub(super) fn runs_in_group(tree: &Tree, span: Run) -> impl Iterator<Item = Run> {
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
