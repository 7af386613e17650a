//! A survey: one scan of the table that serves a whole round of making room.
//!
//! It is a picture of one moment: what it says may leave is claimed one by one afterwards, and what it says cannot may be
//! unpinned meanwhile. While nobody else is at work it is exact.

use crate::arena::Place;
use crate::error::Error;
use crate::manager::Inner;
use crate::room::{Candidate, Want};
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Entry, Victim, Victims};
use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;

/// What may leave, in order, and what stands in the way.
pub(crate) struct Survey {
    pub(crate) victims: Victims,
    evictable: u64,
    /// Blocks that stay where they are. In no order.
    walls: Vec<Stretch>,
    /// Blocks that stay on the card but may be moved. In no order.
    movable: Vec<Stretch>,
}

/// Bytes of one arena, from `start` to `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Stretch {
    arena: u32,
    start: u64,
    end: u64,
}

/// A run of an arena between two walls, and the bytes of the movable blocks in it.
struct Run {
    start: u64,
    end: u64,
    kept: u64,
}

/// What an entry is to somebody who needs room.
enum Standing {
    /// It has no memory.
    Nothing,
    /// It may leave.
    Evictable,
    /// It stays on the card, but nobody uses it now: fixed, and not pinned.
    Movable,
    /// It stays where it is: pinned, or on its way in or out.
    Wall,
}

/// Where somebody waits for memory, what is in the way is marked, so that it rings when it no longer is. What is out of
/// the way by the time it is to be marked counts as that; a released block rings when it is freed.
fn standing_marked(entry: &Entry<Tenant>) -> Standing {
    let standing = standing(entry);
    if !matches!(standing, Standing::Wall) || entry.residency().want_unpinned() == freehold_core::Want::Wait {
        return standing;
    }
    let released = entry.residency().snapshot().is_released();
    if released { Standing::Wall } else { entry.payload().departure.unused() }
}

fn standing(entry: &Entry<Tenant>) -> Standing {
    let (tenant, state) = (entry.payload(), entry.residency().snapshot());
    if tenant.place.get().is_none() {
        return Standing::Nothing;
    }
    if state.is_evictable() { tenant.departure.unused() } else { Standing::Wall }
}

impl Departure {
    /// What an entry of this kind is while nobody uses it.
    fn unused(self) -> Standing {
        if self == Departure::Fixed { Standing::Movable } else { Standing::Evictable }
    }
}

impl Survey {
    pub(crate) fn take(inner: &Inner) -> Self {
        let guard = epoch::pin();
        let (mut evictable, mut walls, mut movable) = (0, Vec::new(), Vec::new());
        // SeqCst: see `Waiting`; whoever waits made its mark before it called us.
        let look = if inner.waiting.load(SeqCst) > 0 { standing_marked } else { standing };
        let victims = Victims::gather(inner.table.iter(&guard).filter_map(|entry| {
            let bytes = inner.reserved(entry.payload().bytes);
            match look(entry) {
                Standing::Nothing => return None,
                Standing::Evictable => {
                    evictable += bytes.get();
                    return Some(Victim { rank: entry.rank(), key: entry.key(), bytes });
                }
                Standing::Movable if inner.moves => movable.extend(Stretch::of(entry.payload(), bytes)),
                Standing::Movable | Standing::Wall => walls.extend(Stretch::of(entry.payload(), bytes)),
            }
            None
        }));
        walls.sort_unstable();
        movable.sort_unstable();
        Survey { victims, evictable, walls, movable }
    }

    /// E1: fails, before anybody is evicted, unless the bytes suffice and some run of an arena without a wall is long enough
    /// once everything that may leave has left, and what may only move has moved.
    pub(crate) fn satisfiable(&self, inner: &Inner, want: &Want<'_>) -> Result<(), Error> {
        let charged_elsewhere = want.account.is_some();
        let enough = inner.budget.free().get() + self.evictable >= want.bytes.get() || charged_elsewhere;
        if enough && (self.has_run(inner, want) || self.can_grow(inner, want)) {
            Ok(())
        } else {
            Err(self.refusal(inner, want))
        }
    }

    /// Whether some run takes `want` together with the movable blocks that find no room in the other runs.
    fn has_run(&self, inner: &Inner, want: &Want<'_>) -> bool {
        let runs: Vec<Run> = inner.arenas.iter().flat_map(|(index, arena)| self.runs(index, arena.size())).collect();
        let spare: u64 = runs.iter().map(|run| run.end - run.start - run.kept).sum();
        runs.iter().any(|run| {
            let hole_end = run.start.next_multiple_of(want.align.get()).saturating_add(want.bytes.get());
            let spare_elsewhere = spare - (run.end - run.start - run.kept);
            hole_end <= run.end && run.kept <= run.end - hole_end + spare_elsewhere
        })
    }

    /// Whether a region for `want` would fit into the budget once every arena in which nothing stays was given back. What
    /// the device will say to it is not known before it is asked.
    fn can_grow(&self, inner: &Inner, want: &Want<'_>) -> bool {
        let stays = |index| self.walls.iter().chain(&self.movable).any(|block| block.arena == index);
        let kept: u64 =
            inner.arenas.iter().filter(|&(index, _)| stays(index)).map(|(_, arena)| arena.size().get()).sum();
        kept.saturating_add(want.bytes.get()) <= inner.budget.limit().get()
    }

    /// The runs of one arena, by address.
    fn runs(&self, arena: u32, capacity: Bytes) -> Vec<Run> {
        let end_of_arena = Stretch { arena, start: capacity.get(), end: capacity.get() };
        let walls = self.walls.iter().filter(|wall| wall.arena == arena).chain([&end_of_arena]);
        let mut movable = self.movable.iter().filter(|block| block.arena == arena).peekable();
        let (mut runs, mut start) = (Vec::new(), 0);
        for wall in walls {
            let mut kept = 0;
            while let Some(block) = movable.next_if(|block| block.start < wall.start) {
                kept += block.end - block.start;
            }
            if wall.start > start {
                // A picture taken while others are at work may show a block twice: more is not kept than there is.
                runs.push(Run { start, end: wall.start, kept: kept.min(wall.start - start) });
            }
            start = start.max(wall.end);
        }
        runs
    }

    /// The error with the numbers of this moment.
    pub(crate) fn refusal(&self, inner: &Inner, want: &Want<'_>) -> Error {
        let holes = inner.arenas.iter().map(|(_, arena)| arena.buddy().largest_hole());
        Error::OutOfMemory {
            requested: want.bytes,
            free: inner.budget.free(),
            largest_hole: holes.max().unwrap_or(Bytes::ZERO),
            evictable: Bytes(self.evictable),
            pinned: Bytes(self.walls.iter().chain(&self.movable).map(|block| block.end - block.start).sum()),
        }
    }
}

impl Stretch {
    fn of(tenant: &Tenant, bytes: Bytes) -> Option<Stretch> {
        let Place { arena, offset, .. } = tenant.place.get()?;
        Some(Stretch { arena, start: offset.get(), end: offset.get() + bytes.get() })
    }
}

impl Inner {
    /// All that may leave now, in the order of leaving.
    pub(crate) fn leaving_order(&self) -> Vec<Candidate> {
        let guard = epoch::pin();
        let evictable = self.table.iter(&guard).filter(|entry| matches!(standing(entry), Standing::Evictable));
        let mut order: Vec<Candidate> = evictable.map(Candidate::of).collect();
        order.sort_unstable_by_key(|candidate| candidate.rank);
        order
    }
}

impl Candidate {
    pub(crate) fn of(entry: &Entry<Tenant>) -> Self {
        let tenant = entry.payload();
        Candidate {
            key: entry.key(),
            id: entry.id(),
            label: Arc::clone(&tenant.label),
            bytes: tenant.bytes,
            rank: entry.rank(),
        }
    }
}
