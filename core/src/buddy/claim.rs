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
use super::one_piece::OnePiece;
use super::release;
use super::tree::{MOST_PIECES, Piece, Tree, shift};
use super::word::{bit_of, ones, ones_up};
use crate::sync::atomic::{AtomicU64, Ordering};

/// Why a claim took nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Denied {
    /// This granule was taken when the claim came to it.
    Taken,
    /// The run lies in more pieces than a claim keeps: close its groups and try again.
    Scattered,
}

/// Takes a run that is one piece and free as it was put. Where it is not so, nothing is changed, and [`take`] does it.
#[inline]
pub(super) fn take_one(tree: &Tree, run: Run) -> bool {
    OnePiece::of(tree, run).is_some_and(|piece| piece.is_free() && piece.take())
}

/// Takes exactly `run`. Loads a level at most for every piece, and one compare-exchange; a lost one is tried again, so
/// retries are bounded by the changes that others make to this word.
pub(super) fn take(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), Denied> {
    if take_one(tree, run) { Ok(()) } else { take_pieces(tree, run, section) }
}

fn take_pieces(tree: &Tree, run: Run, section: &mut Section<'_>) -> Result<(), Denied> {
    let mut held: ArrayVec<Piece, MOST_PIECES> = ArrayVec::new();
    let mut at = run.start;
    while at < run.end {
        match take_piece(tree, at, run, section) {
            Some(piece) if Tree::run(piece) == run => return Ok(()),
            Some(piece) => {
                at = Tree::run(piece).end;
                held.push(piece);
            }
            None => return give_up(tree, &held, section, Denied::Taken),
        }
        if held.is_full() && at < run.end {
            return give_up(tree, &held, section, Denied::Scattered);
        }
    }
    let first = Tree::run(held[0]).start;
    release::publish(tree, Run { start: first, end: run.start }, section);
    release::publish(tree, Run { start: run.end, end: at }, section);
    Ok(())
}

/// The undo of a claim's pieces: the same bits at the same level, nothing closed and nothing opened, or the argument for
/// progress above would not hold.
fn give_up(tree: &Tree, held: &[Piece], section: &mut Section<'_>, why: Denied) -> Result<(), Denied> {
    for &piece in held {
        release::restore(tree, piece, section);
    }
    Err(why)
}

/// Takes what is free from `at` on, up to the end of its word or just past the end of `run`. From the granules up, the
/// first group with a token decides: it is open, so nothing that it lies in is free as a whole.
#[inline(always)]
fn take_piece(tree: &Tree, at: u64, run: Run, section: &mut Section<'_>) -> Option<Piece> {
    (0..=tree.top()).find_map(|level| {
        let unit = at >> shift(level);
        let word = tree.tokens(level, unit);
        // Relaxed: only the compare-exchange decides.
        let seen = word.load(Ordering::Relaxed);
        (seen != 0).then(|| take_at(word, Piece { level, unit, count: 0 }, run, seen, section))
    })?
}

/// As many units as are free from `at`'s on, if any are.
fn take_at(word: &AtomicU64, at: Piece, run: Run, mut seen: u64, section: &mut Section<'_>) -> Option<Piece> {
    let wanted = ((run.end - 1) >> shift(at.level)) - at.unit + 1;
    loop {
        let count = ones_up(seen, bit_of(at.unit)).min(wanted);
        if count == 0 {
            return None;
        }
        let piece = Piece { count, ..at };
        if Tree::run(piece) != run {
            section.enter();
        }
        let left = seen & !ones(bit_of(piece.unit), count);
        // Acquire E1: pairs with the release in `release::put_piece`; the last owner is done with these granules.
        // Release E2: publishes the odd sequence of our section to whoever sees the bits gone.
        match word.compare_exchange_weak(seen, left, Ordering::AcqRel, Ordering::Relaxed) {
            Ok(_) => return Some(piece),
            Err(now) => seen = now,
        }
    }
}
