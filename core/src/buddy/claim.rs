//! Claiming: a run of granules becomes one owner's, all of it or nothing.
//!
//! The run is taken in pieces, in strictly ascending address, each by one compare-exchange in one word, at whatever level
//! it is free. A piece may reach out of the run where only a larger unit is free: what sticks out is published again, and
//! only once every piece is held (that is how a unit is split). An attempt that fails puts back exactly the bits it took,
//! at the level it took them: it closes nothing and opens nothing.
//!
//! Safety is one line: a compare-exchange clears only bits that are 1 in the value it expects. So no granule has two
//! owners, whatever else happens; there are no pointers and so there is no ABA.
//!
//! Progress: lock-free. Suppose no operation ever completed. Then nothing is published any more, for opens publish on
//! success only; every failure is at a piece held by a live claim; and of the claims that are held up, the one that holds the
//! highest contested address can only fail above it, where nothing is contested: it succeeds.

use arrayvec::ArrayVec;

use super::desk::Section;
use super::geometry::Run;
use super::release;
use super::tree::{Piece, Tree};
use super::word::{bit_of, ones, ones_up, word_of};
use crate::sync::atomic::Ordering;

/// The most pieces of one claim. Where every group that could be closed is closed, a run has at most two pieces a level
/// below the top and 65 at it, and a unit sticking out at either end.
const MOST_PIECES: usize = 96;

/// Why a claim took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// This granule was taken when the claim came to it.
    Taken,
    /// The run lies in more pieces than a claim keeps: close its groups and try again.
    Scattered,
}

/// What became of one piece.
enum Step {
    Held(Piece),
    Nothing,
}

/// Takes exactly `run`. Loads a level at most for every piece, and one compare-exchange; a lost one is tried again, so
/// retries are bounded by the changes that others make to this word.
#[inline]
pub(super) fn take(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), Denied> {
    let whole = tree.first_piece(run.start, run.end);
    if tree.run(whole) == run && take_whole(tree, whole) { Ok(()) } else { take_pieces(tree, run, section) }
}

/// The run is one piece, free as it would be put: one load, one compare-exchange, and nothing hidden from anyone.
#[inline]
fn take_whole(tree: &Tree, piece: Piece) -> bool {
    let bits = ones(bit_of(piece.unit), piece.count);
    let word = &tree.levels[piece.level].tokens[word_of(piece.unit)];
    // Relaxed: only the compare-exchange decides.
    let seen = word.load(Ordering::Relaxed);
    // Acquire E1, Release E2: as in `take_at`.
    seen & bits == bits && word.compare_exchange(seen, seen & !bits, Ordering::AcqRel, Ordering::Relaxed).is_ok()
}

fn take_pieces(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), Denied> {
    let mut held: ArrayVec<Piece, MOST_PIECES> = ArrayVec::new();
    let mut at = run.start;
    while at < run.end {
        match take_piece(tree, at, run, section) {
            Step::Held(piece) if tree.run(piece) == run => return Ok(()),
            Step::Held(piece) => {
                at = tree.run(piece).end;
                held.push(piece);
            }
            Step::Nothing => return give_up(tree, &held, Denied::Taken),
        }
        if held.is_full() && at < run.end {
            return give_up(tree, &held, Denied::Scattered);
        }
    }
    let first = tree.run(held[0]).start;
    release::publish(tree, Run { start: first, end: run.start });
    release::publish(tree, Run { start: run.end, end: at });
    Ok(())
}

/// The undo of a claim's pieces: the same bits at the same level, nothing closed and nothing opened, or the argument for
/// progress above would not hold.
fn give_up(tree: &Tree, held: &[Piece], why: Denied) -> Result<(), Denied> {
    for &piece in held {
        release::restore(tree, piece);
    }
    Err(why)
}

/// Takes what is free from `at` on, up to the end of its word or just past the end of `run`.
/// The level at which a free put it is looked at first, then below, where groups may stand open, then above.
fn take_piece(tree: &Tree, at: u64, run: Run, section: &mut Section<'_>) -> Step {
    let likely = tree.level_at(at, run.end);
    for level in (0..=likely).rev().chain(likely + 1..tree.levels.len()) {
        if let Step::Held(piece) = take_at(tree, level, at, run, section) {
            return Step::Held(piece);
        }
    }
    Step::Nothing
}

fn take_at(tree: &Tree, level: usize, at: u64, run: Run, section: &mut Section<'_>) -> Step {
    let shift = tree.levels[level].shift;
    let unit = at >> shift;
    let wanted = ((run.end - 1) >> shift) - unit + 1;
    let word = &tree.levels[level].tokens[word_of(unit)];
    // Relaxed: only the compare-exchange decides.
    let mut seen = word.load(Ordering::Relaxed);
    loop {
        let count = ones_up(seen, bit_of(unit)).min(wanted);
        if count == 0 {
            return Step::Nothing;
        }
        let piece = Piece { level, unit, count };
        if tree.run(piece) != run {
            section.enter();
        }
        let left = seen & !ones(bit_of(unit), count);
        // Acquire E1: pairs with the release in `release::put_piece`; the last owner is done with these granules.
        // Release E2: publishes the odd sequence of our section to whoever sees the bits gone.
        match word.compare_exchange_weak(seen, left, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Step::Held(piece),
            Err(now) => seen = now,
        }
    }
}
