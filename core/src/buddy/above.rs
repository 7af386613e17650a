//! What stands over a group, kept at hand: so a group's first token is put as quickly as any.
//!
//! ```text
//!   tokens   [..0.....]   at 1 the group is free as a whole: whoever puts a token into it frees what is free
//!   below    [..1.....]   the mark by which a search finds the group's tokens; nearly always there
//! ```

use super::release;
use super::tree::{Piece, Tree};
use super::word::{bit_of, ones, word_of};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The unit that a group is, in the level above it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Above<'a> {
    tokens: &'a AtomicU64,
    marks: &'a AtomicU64,
    unit: Piece,
    is_top: bool,
}

impl<'a> Above<'a> {
    /// What stands over the group of this piece; nothing over those of the top level.
    pub(super) fn of(tree: &'a Tree, piece: Piece) -> Option<Above<'a>> {
        let unit = Piece { level: piece.level + 1, unit: word_of(piece.unit) as u64, count: 1 };
        (unit.level <= tree.top()).then(|| Above {
            tokens: tree.tokens(unit.level, unit.unit),
            marks: tree.below(unit.level, unit.unit),
            unit,
            is_top: unit.level == tree.top(),
        })
    }

    /// Whether no unit that the group lies in is free as a whole.
    #[inline]
    pub(super) fn is_open(&self, tree: &Tree) -> bool {
        // Relaxed: a look, for the caller's mistakes.
        let seen = self.tokens.load(Ordering::Relaxed);
        seen & self.bit() == 0 && (seen != 0 || self.is_top || none_is_free_above(tree, self.unit))
    }

    /// Lets a complete search find the group's first token, as [`release::mark_above`] does.
    #[inline]
    pub(super) fn mark(&self, tree: &Tree) {
        if !release::is_marked(self.marks, self.bit()) {
            mark_further(tree, self.unit);
        }
    }

    #[inline]
    fn bit(&self) -> u64 {
        ones(bit_of(self.unit.unit), 1)
    }
}

/// Whether no unit that this one lies in is free as a whole: asked where its own group has no tokens either.
#[inline(never)]
fn none_is_free_above(tree: &Tree, unit: Piece) -> bool {
    !release::is_free_above(tree, unit)
}

/// The mark was missing: those above it may be, too.
#[cold]
#[inline(never)]
fn mark_further(tree: &Tree, unit: Piece) {
    release::mark_above(tree, unit);
}
