//! Move: open a hole out of pieces. The entries keep their content, their identity and their handles; only their place
//! changes, and only while nobody has them pinned.
#![allow(unsafe_code, reason = "the claim is what makes an entry's bytes movable: A2 of arena.rs")]
// A2, here: while it holds an entry's `Leaving`, this thread has the entry to itself; and the target is in our
// hands (`Held`), so nobody has a block there.

use crate::arena::{Arena, Place};
use crate::budget::Charge;
use crate::inner::Inner;
use crate::leaving::Leaving;
use crate::observer::Event;
use crate::picture::Picture;
use crate::place::Want;
use crate::survey::Survey;
use crate::tenant::Tenant;
use crossbeam_epoch as epoch;
use freehold_core::compaction::{Move, Plan};
use freehold_core::{Bytes, Entry, HandleKey, Offset};
use std::sync::atomic::Ordering::Relaxed;

impl Inner {
    /// A block for `want`, which is charged already, by moving blocks of one arena; `None` where no plan can give it, or
    /// others were faster. Called by whoever has the turn to make room.
    pub(crate) fn open_hole(
        &self,
        want: &Want<'_>,
        charge: Charge,
        survey: &mut Survey,
        told: &mut Vec<Event>,
        price: Bytes,
    ) -> Option<Place> {
        self.arenas.iter().filter(|_| self.moves).find_map(|(index, arena)| {
            if arena.buddy().free_bytes() < want.bytes {
                return None;
            }
            let Picture { keys, layout, .. } = survey.picture(self, arena, index);
            let plan = layout.open(want.bytes, want.align, price)?;
            let hole = self.carry_out(&plan, arena, index, keys, told);
            survey.outdate();
            Some(Place { arena: index, offset: hole?, charge })
        })
    }

    fn carry_out(
        &self,
        plan: &Plan,
        arena: &Arena,
        index: u32,
        keys: &[HandleKey],
        told: &mut Vec<Event>,
    ) -> Option<Offset> {
        let mut held = Held::claim(arena, plan)?;
        let guard = epoch::pin();
        for step in &plan.moves {
            let entry = self.table.get(keys[step.block], &guard)?;
            self.move_block(arena, index, entry, step, told)?;
            held.moved(step);
        }
        held.take_out(plan.hole.0, plan.hole.1);
        Some(plan.hole.0)
    }

    /// Moves one block, if it is still where the picture shows it and nobody uses it.
    fn move_block(
        &self,
        arena: &Arena,
        index: u32,
        entry: &Entry<Tenant>,
        step: &Move,
        told: &mut Vec<Event>,
    ) -> Option<()> {
        let mut leaving = Leaving::begin(self, entry)?;
        let tenant = leaving.tenant();
        let (bytes, label) = (tenant.bytes.get(), &*tenant.label);
        let _span = tracing::debug_span!("move", id = entry.id(), bytes, label).entered();
        tenant.moving.store(true, Relaxed); // Relaxed: for reports
        let place = tenant.place.get().filter(|place| (place.arena, place.offset) == (index, step.from))?;
        let (from, to) = (arena.span(step.from, tenant.bytes), arena.span(step.to, tenant.bytes));
        let earlier = arena.earlier_users(step.to, step.bytes);
        if step.overlaps() {
            leaving.tear(None);
        }
        // SAFETY: A2. The entry is claimed, and the target is held, but for what it shares with the entry's own block.
        let behind = match unsafe { from.copy_to(&to, tenant.streams.everybody().union(earlier)) } {
            Ok(behind) => behind,
            Err(error) => {
                arena.note_users(step.to, step.bytes, earlier);
                tracing::warn!(%error, label = &*tenant.label, "a move failed");
                if step.overlaps() {
                    leaving.tear(Some(error));
                }
                return None;
            }
        };
        arena.note_users(step.from, step.bytes, behind);
        tenant.streams.begin(behind);
        let there = Place { offset: step.to, ..place };
        tenant.place.set(there, to.address());
        leaving.mend();
        self.saw_moved(entry, place, there);
        drop(leaving);
        told.push(Event::Moved { id: entry.id(), bytes: tenant.bytes });
        Some(())
    }
}

/// Ranges of an arena that are in nobody's hands but ours while blocks are moved. What is left of them when we are done,
/// or give up, is freed.
struct Held<'a> {
    arena: &'a Arena,
    ranges: Vec<(u64, u64)>,
}

impl<'a> Held<'a> {
    /// Takes what the plan claims, all of it or nothing.
    fn claim(arena: &'a Arena, plan: &Plan) -> Option<Self> {
        let mut held = Held { arena, ranges: Vec::new() };
        for &(offset, bytes) in &plan.claims {
            arena.take(offset, bytes).then(|| held.put_in(offset, bytes))?;
        }
        Some(held)
    }

    /// A block has left its old place to us and taken its new one from us. They may overlap.
    fn moved(&mut self, step: &Move) {
        self.put_in(step.from, step.bytes);
        self.take_out(step.to, step.bytes);
    }

    fn put_in(&mut self, offset: Offset, bytes: Bytes) {
        self.ranges.push((offset.get(), offset.get() + bytes.get()));
        self.ranges.sort_unstable();
        self.ranges.dedup_by(|next, last| {
            let adjoining = last.1 == next.0;
            if adjoining {
                last.1 = next.1;
            }
            adjoining
        });
    }

    fn take_out(&mut self, offset: Offset, bytes: Bytes) {
        let (start, end) = (offset.get(), offset.get() + bytes.get());
        let at = self.ranges.iter().position(|range| range.0 <= start && end <= range.1);
        let (held_start, held_end) = self.ranges.swap_remove(at.expect("only what is held is taken out"));
        let around = [(held_start, start), (end, held_end)];
        self.ranges.extend(around.into_iter().filter(|range| range.0 < range.1));
        self.ranges.sort_unstable();
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        for &(start, end) in &self.ranges {
            self.arena.free(Offset(start), Bytes(end - start));
        }
    }
}
