//! One trial: an arena of a given size, and whether a trace's blocks find their places in it.

use freehold_core::compaction::{Layout, Occupant};
use freehold_core::{Block, Buddy, Bytes, Geometry, Request};

/// An arena and the blocks in it, by the trace's ids. It owns no memory: what moves is a number.
pub(super) struct Arena {
    buddy: Buddy,
    blocks: Vec<Option<Block>>,
    granule: u64,
    /// Whether blocks make way before a request fails; how many bytes that would have copied.
    moves: bool,
    moved_bytes: u64,
}

impl Arena {
    pub(super) fn new(granules: u64, granule: u64, ids: usize, moves: bool) -> Arena {
        let geometry = Geometry::new(Bytes(granules * granule), Bytes(granule));
        let buddy = Buddy::new(geometry.expect("a positive number of granules, far below 2^64 bytes"));
        Arena { buddy, blocks: (0..ids).map(|_| None).collect(), granule, moves, moved_bytes: 0 }
    }

    /// What moving would have copied so far.
    pub(super) fn moved_bytes(&self) -> u64 {
        self.moved_bytes
    }

    /// Finds a place for a block; false where there is none.
    #[must_use]
    pub(super) fn begin(&mut self, id: u32, bytes: u64) -> bool {
        let found = self.buddy.allocate(0, Request::new(Bytes(bytes))).ok();
        let found = if self.moves { found.or_else(|| self.make_way(bytes)) } else { found };
        let place = &mut self.blocks[id as usize];
        *place = found;
        place.is_some()
    }

    /// Gives a block's place back.
    pub(super) fn end(&mut self, id: u32) {
        let block = self.blocks[id as usize].take().expect("a checked trace ends what it began");
        self.buddy.free(0, block);
    }

    /// Moves blocks by the manager's own plan, at any price, until a hole of so many bytes is open; nothing is pinned here.
    fn make_way(&mut self, bytes: u64) -> Option<Block> {
        let granule = Bytes(self.granule);
        let reserved = Bytes(bytes).checked_round_up(granule)?;
        if self.buddy.free_bytes() < reserved {
            return None;
        }
        let (ids, layout) = self.picture();
        let plan = layout.open(reserved, granule, Bytes(u64::MAX))?;
        for step in &plan.moves {
            let place = &mut self.blocks[ids[step.block]];
            let block = place.take().expect("the picture shows live blocks");
            let requested = block.bytes();
            self.buddy.free(0, block);
            *place = Some(self.buddy.take(0, step.to, requested).expect("its turn has come: the new place is free"));
            self.moved_bytes += step.bytes.get();
        }
        self.buddy.take(0, plan.hole.0, Bytes(bytes))
    }

    /// The arena as the planner sees it, and the ids of the blocks in their order.
    fn picture(&self) -> (Vec<usize>, Layout) {
        let align = Bytes(self.granule);
        let (mut ids, mut blocks, mut holes) = (Vec::new(), Vec::new(), Vec::new());
        for (id, block) in self.blocks.iter().enumerate().filter_map(|(id, block)| Some((id, block.as_ref()?))) {
            ids.push(id);
            blocks.push(Occupant {
                offset: block.offset(),
                bytes: self.buddy.geometry().reserved(block.bytes()),
                align,
                movable: true,
            });
        }
        self.buddy.holes(|offset, bytes| holes.push((offset, bytes)));
        (ids, Layout::new(self.buddy.capacity(), blocks, holes))
    }
}
