//! One piece: the way of nearly every claim and every free. The run lies in one word, so one compare-exchange takes it and one
//! puts it back.
//!
//! The compare-exchange needs the whole word's value: the run's own tokens and the others. The others are a guess, as old as
//! you like: where it is wrong, nothing is changed, and [`claim::take`](super::claim::take) and
//! [`release::put`](super::release::put) do it, who look again as often as they must. So what took a run can put it back
//! without a load.

use super::geometry::Run;
use super::tree::{Piece, Tree};
use super::word::{bit_of, ones};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The tokens of a run that is one piece. The word and the bits are those of the run for ever, so it never touches another's.
#[derive(Clone, Copy, Debug)]
pub(super) struct OnePiece<'a> {
    word: &'a AtomicU64,
    bits: u64,
    /// The word's other tokens when last seen: nothing depends on them but speed.
    others: u64,
}

impl<'a> OnePiece<'a> {
    /// The piece, with its word as it is now.
    #[inline]
    pub(super) fn new(tree: &'a Tree, piece: Piece) -> OnePiece<'a> {
        let (word, bits) = (tree.tokens(piece.level, piece.unit), ones(bit_of(piece.unit), piece.count));
        // Relaxed: only the compare-exchange decides.
        OnePiece { word, bits, others: word.load(Ordering::Relaxed) & !bits }
    }

    /// The run, if it is one piece.
    #[inline]
    pub(super) fn of(tree: &'a Tree, run: Run) -> Option<OnePiece<'a>> {
        tree.one_piece(run).map(|piece| OnePiece::new(tree, piece))
    }

    /// Whether it is free as it stands: in its own units, not in larger or smaller ones.
    #[inline]
    pub(super) fn is_free(self) -> bool {
        // Relaxed: only the compare-exchange decides.
        self.word.load(Ordering::Relaxed) & self.bits == self.bits
    }

    /// Whether its tokens were the only ones of their group when last seen.
    #[inline]
    pub(super) fn is_alone(self) -> bool {
        self.others == 0
    }

    /// Takes it. It hides nothing from anyone but what it takes.
    #[inline]
    pub(super) fn take(self) -> bool {
        // Acquire E1, Release E2: as in `claim::take_at`.
        let (free, taken) = (self.others | self.bits, self.others);
        self.word.compare_exchange(free, taken, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Puts it where its group has other tokens: then it is marked above, or its first token's section is open.
    #[inline]
    pub(super) fn put(self) -> bool {
        // Release E1, Acquire E2: as in `release::put_piece`.
        let (free, taken) = (self.others | self.bits, self.others);
        taken != 0 && self.word.compare_exchange(taken, free, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Puts it where its group has no other tokens: in a section, and before a look at the mark above.
    #[inline]
    pub(super) fn put_first(self) -> bool {
        // Release E1, E2, SeqCst E3: as in `release::put_first`.
        self.word.compare_exchange(0, self.bits, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
