//! Releasing, the mirror of claiming: a run of granules becomes free, in as large units as it has.
//!
//! Only the owner of granules sets their tokens, so this never fails for want of anything: each piece is one
//! compare-exchange that is retried after another's success only. Where a whole group has become free it may be closed:
//! its word goes from full to zero, which claims the unit, and the unit's own token is set one level up. That is
//! coalescing, without coalescing bits and without help from anyone; nothing depends on it but speed.

use super::desk::Section;
use super::geometry::Run;
use super::tree::{Piece, Tree};
use super::word::{FULL, bit_of, ones, word_of};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::sequentially_consistent;

/// Sets the tokens of `run`, unless some of it is free already: then nothing is changed, as far as can be seen.
#[inline]
pub(super) fn put(tree: &Tree, run: Run) -> Result<(), AlreadyFree> {
    let piece = tree.first_piece(run.start, run.end);
    refuse_free(tree, piece)?;
    if tree.run(piece) == run { put_piece(tree, piece) } else { put_pieces(tree, run) }
}

fn put_pieces(tree: &Tree, run: Run) -> Result<(), AlreadyFree> {
    tree.pieces(run).try_for_each(|piece| refuse_free(tree, piece))?;
    tree.pieces(run).try_for_each(|piece| put_piece(tree, piece))
}

/// The granules are free already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlreadyFree;

/// Publishes granules that this thread holds, and nobody else can.
pub(super) fn publish(tree: &Tree, run: Run) {
    tree.pieces(run).for_each(|piece| restore(tree, piece));
}

/// Sets exactly these bits again, which this thread holds.
pub(super) fn restore(tree: &Tree, piece: Piece) {
    let result = put_piece(tree, piece);
    debug_assert!(result.is_ok(), "I1: a unit that a claim holds became free: {piece:?}");
}

/// Whether the piece, or a unit that it lies in, is free: a look, for the caller's mistakes.
#[inline]
fn refuse_free(tree: &Tree, piece: Piece) -> Result<(), AlreadyFree> {
    let own = ones(bit_of(piece.unit), piece.count);
    let start = tree.run(piece).start;
    for (level, words) in tree.levels.iter().enumerate().skip(piece.level) {
        let unit = start >> words.shift;
        let mask = if level == piece.level { own } else { ones(bit_of(unit), 1) };
        // Relaxed: a caller that frees twice may race itself; the compare-exchange looks again.
        if words.tokens[word_of(unit)].load(Ordering::Relaxed) & mask != 0 {
            return Err(AlreadyFree);
        }
    }
    Ok(())
}

#[inline]
fn put_piece(tree: &Tree, piece: Piece) -> Result<(), AlreadyFree> {
    let bits = ones(bit_of(piece.unit), piece.count);
    let word = &tree.levels[piece.level].tokens[word_of(piece.unit)];
    // Relaxed: only the compare-exchange decides.
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        if seen & bits != 0 {
            return Err(AlreadyFree);
        }
        // Release E1: pairs with the acquire in `claim::take_at`; the next owner comes after our use of the granules.
        // SeqCst E3: before our look at the below words, see `mark_above`.
        match word.compare_exchange_weak(seen, seen | bits, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) => seen = now,
        }
    }
    mark_above(tree, piece);
    Ok(())
}

/// Lets a complete search find the tokens: every unit above them says that there may be tokens below (I3).
///
/// Token first, mark second; `search` clears a mark first and looks at the tokens second. Of the two looks at least one
/// sees the other's write, so a mark is missing only while somebody is about to set it.
pub(super) fn mark_above(tree: &Tree, piece: Piece) {
    let mut unit = piece.unit;
    for level in &tree.levels[piece.level + 1..] {
        unit = word_of(unit) as u64;
        mark(&level.below[word_of(unit)], ones(bit_of(unit), 1));
    }
}

/// Test first: the mark is nearly always there, and then nothing is written.
fn mark(word: &AtomicU64, bit: u64) {
    sequentially_consistent();
    // SeqCst E3: after our token, pairs with the clearing in `search`.
    if word.load(Ordering::SeqCst) & bit == 0 {
        word.fetch_or(bit, Ordering::SeqCst);
    }
}

/// Closes the groups at both ends of a run that was put, and what becomes full above them.
/// Loads two words a level; a compare-exchange only where a group is full.
pub(super) fn close_ends(tree: &Tree, run: Run, section: &mut Section<'_>) {
    for level in 0..tree.top() {
        let shift = tree.levels[level].shift;
        let (first, last) = (word_of(run.start >> shift), word_of((run.end - 1) >> shift));
        close(tree, level, first, section);
        if last != first {
            close(tree, level, last, section);
        }
    }
}

/// Closes every group of a run, so that it lies in as few pieces as it can.
pub(super) fn close_all(tree: &Tree, run: Run, section: &mut Section<'_>) {
    for level in 0..tree.top() {
        let shift = tree.levels[level].shift;
        for word in word_of(run.start >> shift)..=word_of((run.end - 1) >> shift) {
            close(tree, level, word, section);
        }
    }
}

/// Full to zero, then the unit's token. Nothing is done where the group is not full, or no whole unit.
fn close(tree: &Tree, level: usize, word: usize, section: &mut Section<'_>) {
    let group = &tree.levels[level].tokens[word];
    // Relaxed: only the compare-exchange decides.
    if group.load(Ordering::Relaxed) != FULL {
        return;
    }
    section.enter();
    // Acquire E1: the unit's next owner acquires from our token, and we from those who freed its parts.
    // Release E2: publishes the odd sequence to whoever sees the group empty before the unit is free above.
    if group.compare_exchange(FULL, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
        restore(tree, Piece { level: level + 1, unit: word as u64, count: 1 });
    }
}
