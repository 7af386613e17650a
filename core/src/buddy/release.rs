//! Releasing, the mirror of claiming: a run of granules becomes free, in as large units as it has.
//!
//! Only the owner of granules sets their tokens, so this never fails for want of anything: each piece is one
//! compare-exchange that is retried after another's success only. Where a whole group has become free it may be closed:
//! its word goes from full to zero, which claims the unit, and the unit's own token is set one level up. That is
//! coalescing, without coalescing bits and without help from anyone; nothing depends on it but speed.

use arrayvec::ArrayVec;

use super::desk::Section;
use super::geometry::Run;
use super::tree::{MOST_PIECES, Piece, Tree, shift};
use super::word::{FULL, RADIX_LOG2, bit_of, ones, word_of};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::sequentially_consistent;

/// Sets the tokens of `run`, unless some of it is free already: then nothing is changed, as far as can be seen.
pub(super) fn put(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), AlreadyFree> {
    match tree.one_piece(run) {
        Some(piece) => put_piece(tree, piece, section),
        None => put_pieces(tree, run, section),
    }
}

fn put_pieces(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), AlreadyFree> {
    let mut pieces: ArrayVec<Piece, MOST_PIECES> = ArrayVec::new();
    for piece in tree.pieces(run) {
        refuse_free(tree, piece)?;
        pieces.push(piece);
    }
    pieces.iter().try_for_each(|&piece| put_piece(tree, piece, section))
}

/// The granules are free already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AlreadyFree;

/// Publishes granules that this thread holds, and nobody else can.
pub(super) fn publish(tree: &Tree, run: Run, section: &mut Section<'_>) {
    tree.pieces(run).for_each(|piece| restore(tree, piece, section));
}

/// Sets exactly these bits again, which this thread holds.
pub(super) fn restore(tree: &Tree, piece: Piece, section: &mut Section<'_>) {
    let result = put_piece(tree, piece, section);
    debug_assert!(result.is_ok(), "I1: a unit that a claim holds became free: {piece:?}");
}

/// Whether the piece, or a unit that it lies in, is free: a look, for the caller's mistakes.
fn refuse_free(tree: &Tree, piece: Piece) -> Result<(), AlreadyFree> {
    let bits = ones(bit_of(piece.unit), piece.count);
    // Relaxed: a caller that frees twice may race itself; the compare-exchange looks again.
    let seen = tree.tokens(piece.level, piece.unit).load(Ordering::Relaxed);
    if seen & bits != 0 || (seen == 0 && is_free_above(tree, piece)) { Err(AlreadyFree) } else { Ok(()) }
}

/// Whether a unit that the piece lies in is free as a whole: some level says so, or none.
#[inline]
pub(super) fn is_free_above(tree: &Tree, piece: Piece) -> bool {
    let (mut free, mut unit) = (0, piece.unit);
    for level in piece.level + 1..=tree.top() {
        unit = word_of(unit) as u64;
        // Relaxed: a look, for the caller's mistakes.
        free |= tree.tokens(level, unit).load(Ordering::Relaxed) >> bit_of(unit);
    }
    free & 1 != 0
}

/// One compare-exchange where the group has tokens already: then it is marked above, or its first token's section is open.
#[inline]
fn put_piece(tree: &Tree, piece: Piece, section: &mut Section<'_>) -> Result<(), AlreadyFree> {
    let bits = ones(bit_of(piece.unit), piece.count);
    let word = tree.tokens(piece.level, piece.unit);
    // Relaxed: only the compare-exchange decides.
    let mut seen = word.load(Ordering::Relaxed);
    while seen != 0 {
        if seen & bits != 0 {
            return Err(AlreadyFree);
        }
        // Release E1: pairs with the acquire in `claim::take_at`; the next owner comes after our use of the granules.
        // Acquire E2: pairs with the put of the group's first token; who sees this free counted sees that section open.
        match word.compare_exchange_weak(seen, seen | bits, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Ok(()),
            Err(now) => seen = now,
        }
    }
    put_first(tree, piece, section)
}

/// The group had no token: it was taken to the last unit, or it is closed and the caller frees what is free. Until the marks
/// above are set, what others put into the group may be hidden, so this is a section.
fn put_first(tree: &Tree, piece: Piece, section: &mut Section<'_>) -> Result<(), AlreadyFree> {
    if is_free_above(tree, piece) {
        return Err(AlreadyFree);
    }
    let bits = ones(bit_of(piece.unit), piece.count);
    let word = tree.tokens(piece.level, piece.unit);
    section.enter();
    let mut seen = 0;
    loop {
        // Release E1, E2: as in `put_piece`. SeqCst E3: before our look at the below words, see `mark_above`.
        match word.compare_exchange_weak(seen, seen | bits, Ordering::SeqCst, Ordering::Relaxed) {
            Ok(_) => break,
            Err(now) if now & bits != 0 => return Err(AlreadyFree),
            Err(now) => seen = now,
        }
    }
    mark_above(tree, piece);
    Ok(())
}

/// Lets a complete search find the tokens: every unit above them says that there may be tokens below (I3).
///
/// Token first, mark second; `search` clears a mark first and looks at the tokens second. Of the two looks at least one
/// sees the other's write, so a mark is missing only while somebody is about to set it, in a section.
pub(super) fn mark_above(tree: &Tree, piece: Piece) {
    let mut unit = piece.unit;
    for level in piece.level + 1..=tree.top() {
        unit = word_of(unit) as u64;
        if is_marked(tree.below(level, unit), ones(bit_of(unit), 1)) {
            // Who set this one marks above it, and is in a section until then.
            return;
        }
    }
}

/// Test first: the mark is nearly always there, and then nothing is written.
#[inline]
pub(super) fn is_marked(word: &AtomicU64, bit: u64) -> bool {
    sequentially_consistent();
    // SeqCst E3: after our token, pairs with the clearing in `search`. Acquire E2: from who set the mark, whose section we pass on.
    word.load(Ordering::SeqCst) & bit != 0 || word.fetch_or(bit, Ordering::SeqCst) & bit != 0
}

/// Closes the groups at both ends of a run that was put, and what becomes full above them.
/// Loads two words for each level that the run has units of; a compare-exchange only where a group is full.
pub(super) fn close_ends(tree: &Tree, run: Run, section: &mut Section<'_>) {
    for level in 0..tree.top() {
        let (first, last) = (run.start >> shift(level + 1), (run.end - 1) >> shift(level + 1));
        let closed = close(tree, level, first, section) | (last != first && close(tree, level, last, section));
        // The groups above have had no token of this run.
        if !closed && run.granules() >> shift(level + 1) == 0 {
            return;
        }
    }
}

/// Closes every group of a run, so that it lies in as few pieces as it can.
pub(super) fn close_all(tree: &Tree, run: Run, section: &mut Section<'_>) {
    for level in 0..tree.top() {
        for unit in run.start >> shift(level + 1)..=(run.end - 1) >> shift(level + 1) {
            close(tree, level, unit, section);
        }
    }
}

/// Closes the group that is `unit` of the level above: full to zero, then the unit's token. Nothing is done where the group
/// is not full, or no whole unit.
#[inline]
fn close(tree: &Tree, level: usize, unit: u64, section: &mut Section<'_>) -> bool {
    let group = tree.tokens(level, unit << RADIX_LOG2);
    // Relaxed: only the compare-exchange decides.
    group.load(Ordering::Relaxed) == FULL
        && close_full(tree, group, Piece { level: level + 1, unit, count: 1 }, section)
}

fn close_full(tree: &Tree, group: &AtomicU64, whole: Piece, section: &mut Section<'_>) -> bool {
    section.enter();
    // Acquire E1: the unit's next owner acquires from our token, and we from those who freed its parts.
    // Release E2: publishes the odd sequence to whoever sees the group empty before the unit is free above.
    let closed = group.compare_exchange(FULL, 0, Ordering::AcqRel, Ordering::Relaxed).is_ok();
    if closed {
        restore(tree, whole, section);
    }
    closed
}
