//! The latest run: what a slot's owner freed last, and all that taking it again needs, in the owner's own hands.
//!
//! An engine's loop frees a block and asks for one of the same size. The run is still in the tree as it was put. Which word and
//! which bits it is, which requests it serves and where it starts was worked out when it was freed first, so a pair is two
//! compare-exchanges, and for the books a plain store after each (and one before, where it is its group's first token).
//!
//! The run is free for everybody meanwhile, as those in the [`ring`](super::ring) are: it is remembered, and never held.
//! Whether it is *here*, freed by its owner and not taken again by him, or *out* says the slot's [`sequence`](super::sequence):
//!
//! ```text
//!             take: a request that it serves
//!             settled: the slot searches elsewhere
//!     here  ------------------------------------>  out: not in these books; taken, or free for all
//!           <------------------------------------
//!             put: the very block
//! ```

use super::above::Above;
use super::desk::Desk;
use super::geometry::{Geometry, Run};
use super::one_piece::OnePiece;
use super::tree::Tree;
use crate::units::{Bytes, Offset};

/// A run of one piece.
#[derive(Clone, Copy, Debug)]
pub(super) struct Latest<'a> {
    pub(super) run: Run,
    pub(super) offset: Offset,
    /// It serves requests of more bytes than the one and no more than the other.
    more_than: Bytes,
    up_to: Bytes,
    piece: OnePiece<'a>,
    /// Where it is alone in its group.
    above: Option<Above<'a>>,
}

impl<'a> Latest<'a> {
    /// The run, if it is one piece.
    #[inline]
    pub(super) fn of(geometry: &Geometry, tree: &'a Tree, run: Run) -> Option<Latest<'a>> {
        let at = tree.one_piece(run)?;
        let (piece, up_to) = (OnePiece::new(tree, at), geometry.bytes_of(run.granules()));
        let more_than = Bytes(up_to.0 - geometry.granule().0);
        let offset = geometry.offset_of(run.start);
        let above = if piece.is_alone() { Above::of(tree, at) } else { None };
        Some(Latest { run, offset, more_than, up_to, piece, above })
    }

    /// Whether a request of so many bytes reserves as much as it has.
    #[inline]
    pub(super) fn serves(&self, bytes: Bytes) -> bool {
        self.more_than < bytes && bytes <= self.up_to
    }

    /// Takes it, if its word is as it was when last seen.
    #[inline]
    pub(super) fn take(&self) -> bool {
        self.piece.take()
    }

    /// The mirror of [`take`](Latest::take). Where it is alone in its group, it is put in a section, which the caller leaves by
    /// counting the free.
    #[inline]
    pub(super) fn put(&self, tree: &Tree, desk: Desk<'_>) -> bool {
        self.piece.put() || self.put_first(tree, desk)
    }

    #[inline]
    fn put_first(&self, tree: &Tree, desk: Desk<'_>) -> bool {
        let Some(above) = self.above.as_ref().filter(|above| above.is_open(tree)) else { return false };
        let sequence = desk.sequence();
        desk.set_entered(sequence);
        let put = self.piece.put_first();
        if put {
            above.mark(tree);
        } else {
            desk.set(sequence.left());
        }
        put
    }
}
