//! What would fit, if: the question of every refusal (E1), and of what to do about one.
//!
//! A survey says who may leave and who stays. A supposition changes that picture, and says whether a request would then find
//! its bytes in one piece. With nothing supposed it is the verdict; with somebody unpinned or a larger budget, advice.

use crate::error::Error;
use crate::inner::Inner;
use crate::observe::refusal::Refusal;
use crate::place::Want;
use crate::survey::{Staying, Survey};
use freehold_core::compaction::{Layout, Occupant};
use freehold_core::{Bytes, Offset};

/// A change of the picture.
#[derive(Clone, Copy)]
pub(crate) struct Supposing<'a> {
    /// Who of those that stay would leave.
    pub(crate) gone: &'a dyn Fn(&Staying) -> bool,
    /// Whether blocks that nobody uses would move.
    pub(crate) moves: bool,
    /// What could be charged.
    pub(crate) limit: Bytes,
}

impl Supposing<'_> {
    /// That all is as it is.
    pub(crate) fn nothing(inner: &Inner) -> Self {
        Supposing { gone: &|_| false, moves: inner.moves, limit: inner.traffic.budget.limit() }
    }
}

impl Survey {
    /// E1: fails, before anybody is evicted, unless the bytes suffice and some run of an arena without a wall is long enough
    /// once everything that may leave has left, and what may only move has moved.
    pub(crate) fn satisfiable(&self, inner: &Inner, want: &Want<'_>) -> Result<(), Error> {
        let satisfied = self.would_fit(inner, want, Supposing::nothing(inner));
        if satisfied { Ok(()) } else { Err(self.refusal(inner, want)) }
    }

    /// Whether `want` would be had.
    pub(crate) fn would_fit(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> bool {
        self.chargeable(inner, want, supposing) >= want.bytes
            && (self.has_run(inner, want, supposing) || self.can_grow(inner, want, supposing))
    }

    /// The bytes that could be charged for `want`, once everything that may leave has left.
    pub(crate) fn chargeable(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> Bytes {
        let gone = self.staying.iter().filter(|staying| (supposing.gone)(staying));
        let (mut budget, mut account) = (self.evictable.budget, self.evictable.account);
        for staying in gone {
            budget += staying.gives.budget;
            account += staying.gives.account;
        }
        let stays_charged = inner.traffic.budget.used().get().saturating_sub(budget);
        let in_budget = supposing.limit.get().saturating_sub(stays_charged);
        let from_account = want.account.map_or(0, |own| own.free().get() + account);
        Bytes(in_budget.max(from_account))
    }

    /// What is missing in the budget to charge `want` to it, once everything that may leave has left. More may be charged than the limit,
    /// after the budget was lowered: that is missing too.
    pub(crate) fn uncharged(&self, inner: &Inner, want: &Want<'_>) -> Bytes {
        let stays_charged = inner.traffic.budget.used().get().saturating_sub(self.evictable.budget);
        Bytes((stays_charged + want.bytes.get()).saturating_sub(inner.traffic.budget.limit().get()))
    }

    /// Whether some arena takes `want` once everything that may leave has left: in a hole, or by moving what stays. Planned,
    /// not summed: a block that may move needs a place in one piece.
    pub(crate) fn has_run(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> bool {
        inner.arenas.iter().any(|(index, arena)| {
            let staying = || self.staying_in(index, supposing);
            let holes = holes_between(staying(), arena.size());
            let movable = || staying().any(|block| block.movable);
            holes.iter().any(|&hole| length_at(hole, want.align) >= want.bytes)
                || movable()
                    && Layout::new(arena.size(), staying(), holes)
                        .open(want.bytes, want.align, Bytes(u64::MAX))
                        .is_some()
        })
    }

    /// Whether a region for `want` would fit into the budget once every arena in which nothing stays was given back. What
    /// the device will say to it is not known before it is asked.
    pub(crate) fn can_grow(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> bool {
        let fits = self.kept(inner, supposing).get().saturating_add(want.bytes.get()) <= supposing.limit.get();
        fits && self.has_slot(inner, want, supposing)
    }

    /// Whether there would be a slot for a region of `want`.
    pub(crate) fn has_slot(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> bool {
        inner.arenas.has_slot(want.bytes, |index| self.staying_in(index, supposing).next().is_none())
    }

    /// The regions in which something stays.
    pub(crate) fn kept(&self, inner: &Inner, supposing: Supposing<'_>) -> Bytes {
        let stays = |index| self.staying_in(index, supposing).next().is_some();
        Bytes(inner.arenas.iter().filter(|&(index, _)| stays(index)).map(|(_, arena)| arena.size().get()).sum())
    }

    /// The longest piece between what stays, from an address that suits `want`.
    pub(crate) fn longest_run(&self, inner: &Inner, want: &Want<'_>, supposing: Supposing<'_>) -> Bytes {
        let runs = inner.arenas.iter().flat_map(|(index, arena)| {
            let holes = holes_between(self.staying_in(index, supposing), arena.size());
            holes.into_iter().map(|hole| length_at(hole, want.align))
        });
        runs.max().unwrap_or(Bytes::ZERO)
    }

    fn staying_in<'s>(&'s self, arena: u32, supposing: Supposing<'s>) -> impl Iterator<Item = Occupant> + 's {
        let stays = move |staying: &&Staying| staying.resident.arena == arena && !(supposing.gone)(staying);
        let staying = self.staying.iter().filter(stays);
        staying.map(move |staying| Occupant { movable: staying.unused && supposing.moves, ..staying.resident.block })
    }

    /// The error with the numbers of this moment.
    pub(crate) fn refusal(&self, inner: &Inner, want: &Want<'_>) -> Error {
        let holes = inner.arenas.iter().map(|(_, arena)| arena.buddy().largest_hole());
        Error::OutOfMemory {
            requested: want.bytes,
            free: inner.traffic.budget.free(),
            largest_hole: holes.max().unwrap_or(Bytes::ZERO),
            evictable: self.evictable.sum(),
            pinned: Bytes(self.staying.iter().map(|staying| staying.bytes().get()).sum()),
            refusal: Box::new(Refusal::of(self, inner, want)),
        }
    }
}

/// What is left of a hole from its first address that is a multiple of `align`.
fn length_at((start, bytes): (Offset, Bytes), align: Bytes) -> Bytes {
    let aligned = start.get().next_multiple_of(align.get());
    Bytes((start.get() + bytes.get()).saturating_sub(aligned))
}

/// What is left of an arena between blocks in the order of their addresses.
fn holes_between(blocks: impl Iterator<Item = Occupant>, size: Bytes) -> Vec<(Offset, Bytes)> {
    let (mut holes, mut covered) = (Vec::new(), Offset(0));
    let end = Occupant { offset: Offset(size.get()), bytes: Bytes::ZERO, align: Bytes(1), movable: false };
    for block in blocks.chain([end]) {
        if block.offset > covered {
            holes.push((covered, block.offset - covered));
        }
        // A picture taken while others are at work may show a block twice, or one in the place of another.
        covered = covered.max(block.offset + block.bytes);
    }
    holes
}
