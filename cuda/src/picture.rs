//! A picture of an arena: which blocks and holes lie where, for the planner of moves. One picture serves a round of making
//! room: it is drawn from the survey's own scan, and each victim that leaves is wiped out of it.
//!
//! To draw it anew for each victim cost most of the time that requests spent on making room. Nothing depends on its being
//! true: a plan begins by claiming every free piece that it counts on, and where that fails, because others were at
//! work, the next picture is drawn from a new scan.

use crate::arena::Arena;
use crate::inner::Inner;
use crate::survey::{Resident, Survey, standing};
use crossbeam_epoch as epoch;
use freehold_core::HandleKey;
use freehold_core::compaction::Layout;

/// The layout of one arena, and the names of its blocks by the planner's numbers.
pub(crate) struct Picture {
    arena: u32,
    pub(crate) keys: Vec<HandleKey>,
    pub(crate) layout: Layout,
}

impl Picture {
    fn draw(arena: &Arena, index: u32, blocks: &[Resident]) -> Picture {
        let (keys, blocks): (Vec<_>, Vec<_>) =
            blocks.iter().filter(|block| block.arena == index).map(|block| (block.key, block.block)).unzip();
        let mut holes = Vec::new();
        arena.buddy().holes(|offset, bytes| holes.push((offset, bytes)));
        Picture { arena: index, keys, layout: Layout::new(arena.buddy().capacity(), blocks, holes) }
    }
}

impl Survey {
    /// The picture of one arena, drawn when it is first looked at.
    pub(crate) fn picture(&mut self, inner: &Inner, arena: &Arena, index: u32) -> &Picture {
        if std::mem::take(&mut self.outdated) {
            let guard = epoch::pin();
            self.blocks =
                inner.table.iter(&guard).filter_map(|entry| Resident::of(inner, entry, standing(entry))).collect();
            self.pictures.clear();
        }
        let drawn = self.pictures.iter().position(|picture| picture.arena == index).unwrap_or_else(|| {
            self.pictures.push(Picture::draw(arena, index, &self.blocks));
            self.pictures.len() - 1
        });
        &self.pictures[drawn]
    }

    /// A victim has left.
    pub(crate) fn left(&mut self, key: HandleKey) {
        let Some(at) = self.blocks.iter().position(|block| block.key == key) else { return };
        let Resident { arena, block, .. } = self.blocks.swap_remove(at);
        for picture in self.pictures.iter_mut().filter(|picture| picture.arena == arena) {
            self.outdated |= !picture.layout.vacate(block.offset);
        }
    }

    /// Blocks have come or moved.
    pub(crate) fn outdate(&mut self) {
        self.outdated = true;
    }
}
