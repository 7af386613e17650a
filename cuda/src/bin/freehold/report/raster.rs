//! Raster: who lay where at the end of each column, in a fixed number of rows of addresses.
//!
//! A cell shows the group that has most of it, and the longest block of that group in it by name. Neighbouring cells of one
//! row that show the same are one run, and blocks and labels are written once, so that a quiet arena costs next to nothing
//! and the busiest one is bounded by rows times columns.

use std::collections::HashMap;
use std::sync::Arc;

use freehold_cuda::Snapshot;
use freehold_cuda::observe::{ArenaShot, DepartureShot, EntryShot, EntryState};
use serde::Serialize;

use super::groups::{GROUPS, Groups};

/// Rows of all arenas together, about two pixels each.
const ROWS: u64 = 128;

/// A run that is still open, for each row, and all that are closed.
#[derive(Debug, Default)]
pub(super) struct Raster {
    /// The column that was added last.
    latest: usize,
    rows: Vec<Row>,
    arenas: Vec<ArenaRows>,
    runs: Vec<[u32; 5]>,
    blocks: Vec<Block>,
    known: HashMap<Block, u32>,
    labels: Vec<Arc<str>>,
    label_numbers: HashMap<Arc<str>, u32>,
}

/// What a row shows since when.
#[derive(Clone, Copy, Debug, Default)]
struct Row {
    since: u32,
    shows: Option<Cell>,
}

/// What one cell shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Cell {
    block: u32,
    /// How many blocks lie in it, as far as anybody would count.
    blocks: u32,
    /// How much of it is taken, in quarters.
    quarters: u32,
}

/// A block at one place, as the page lists it: offset, bytes, the first row of its arena, group, standing, label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Block(u64, u64, u32, u8, u8, u32);

/// A block in a snapshot.
#[derive(Clone, Copy)]
struct Seen<'s> {
    offset: u64,
    bytes: u64,
    entry: &'s EntryShot,
}

impl Seen<'_> {
    fn of(arena: &ArenaShot) -> Vec<Seen<'_>> {
        let block = |piece: &'_ freehold_cuda::observe::Piece| (piece.offset, piece.bytes);
        let pieces = arena.pieces.iter().filter_map(|piece| Some((block(piece), piece.entry.as_ref()?)));
        pieces.map(|((offset, bytes), entry)| Seen { offset, bytes, entry }).collect()
    }

    fn end(&self) -> u64 {
        self.offset + self.bytes
    }

    /// How much of it lies in a range.
    fn within(&self, start: u64, end: u64) -> u64 {
        self.end().min(end).saturating_sub(self.offset.max(start))
    }

    /// As the page counts them: idle, fixed, pinned, on its way.
    fn standing(&self) -> u8 {
        match (self.entry.state, self.entry.departure) {
            (EntryState::Resident, DepartureShot::Fixed) => 1,
            (EntryState::Resident, _) => 0,
            (EntryState::Pinned, _) => 2,
            _ => 3,
        }
    }
}

/// One arena's share of the rows.
#[derive(Clone, Copy, Debug, Serialize)]
struct ArenaRows {
    bytes: u64,
    first_row: u64,
    rows: u64,
}

impl Raster {
    /// Adds the column that ends with this look. One that is left out shows what was before, and so does one that comes after
    /// a later one: two threads may have looked at the same time.
    pub(super) fn look(&mut self, column: usize, seen: &Snapshot, groups: &Groups) {
        if column < self.latest {
            return;
        }
        self.latest = column;
        self.fit(&seen.arenas);
        let mut shown = vec![None; self.rows.len()];
        for shot in &seen.arenas {
            let (arena, blocks) = (self.arenas[shot.index as usize], Seen::of(shot));
            for row in 0..arena.rows {
                shown[(arena.first_row + row) as usize] = self.cell(arena, row, &blocks, groups);
            }
        }
        for (number, shows) in shown.into_iter().enumerate() {
            self.show(number, column as u32, shows);
        }
    }

    /// Ends all runs: no column comes after this one.
    pub(super) fn finish(mut self, columns: usize) -> Picture {
        for number in 0..self.rows.len() {
            self.show(number, columns as u32, None);
        }
        let Raster { arenas, runs, blocks, labels, .. } = self;
        Picture { rows: self.rows.len(), arenas, runs, blocks, labels: labels.iter().map(|l| l.to_string()).collect() }
    }

    /// Gives each arena its rows when it is first seen, by its size among those seen together. An arena keeps its rows when
    /// its region comes and goes.
    fn fit(&mut self, seen: &[ArenaShot]) {
        let all: u64 = seen.iter().map(|arena| arena.bytes).sum();
        for arena in seen {
            let rows = (u128::from(arena.bytes) * u128::from(ROWS) / u128::from(all.max(1))).clamp(1, 128) as u64;
            // Bounded by the few arenas that a manager can have; one that was not seen yet has no rows.
            while self.arenas.len() <= arena.index as usize {
                self.arenas.push(ArenaRows { bytes: 0, first_row: self.rows.len() as u64, rows: 0 });
            }
            let known = &mut self.arenas[arena.index as usize];
            if known.rows == 0 {
                *known = ArenaRows { bytes: 0, first_row: self.rows.len() as u64, rows };
                self.rows.resize(self.rows.len() + rows as usize, Row::default());
            }
            known.bytes = arena.bytes;
        }
    }

    /// What a row of an arena shows: `blocks` are the arena's, by offset.
    fn cell(&mut self, arena: ArenaRows, row: u64, blocks: &[Seen<'_>], groups: &Groups) -> Option<Cell> {
        let edge = |row: u64| (u128::from(arena.bytes) * u128::from(row) / u128::from(arena.rows)) as u64;
        let (start, end) = (edge(row), edge(row + 1));
        let group_of = |block: &Seen<'_>| usize::from(groups.group(&block.entry.plugin));
        let first = blocks.partition_point(|block| block.end() <= start);
        let inside = || blocks[first..].iter().take_while(|block| block.offset < end);
        let mut taken = [0; GROUPS];
        inside().for_each(|block| taken[group_of(block)] += block.within(start, end));
        let group = (0..GROUPS).rev().max_by_key(|&group| taken[group]).filter(|&group| taken[group] > 0)?;
        let longest = inside().filter(|block| group_of(block) == group).max_by_key(|block| block.within(start, end))?;
        let quarters = (taken.iter().sum::<u64>() * 4).div_ceil((end - start).max(1)).min(4);
        let block = self.number_of(longest, arena, group as u8);
        Some(Cell { block, blocks: inside().count().min(99) as u32, quarters: quarters as u32 })
    }

    fn number_of(&mut self, block: &Seen<'_>, arena: ArenaRows, group: u8) -> u32 {
        let label = self.label_number(&block.entry.label);
        let listed = Block(block.offset, block.bytes, arena.first_row as u32, group, block.standing(), label);
        *self.known.entry(listed).or_insert_with(|| {
            self.blocks.push(listed);
            self.blocks.len() as u32 - 1
        })
    }

    fn label_number(&mut self, label: &Arc<str>) -> u32 {
        if let Some(&known) = self.label_numbers.get(label) {
            return known;
        }
        self.labels.push(Arc::clone(label));
        self.label_numbers.insert(Arc::clone(label), self.labels.len() as u32 - 1);
        self.labels.len() as u32 - 1
    }

    fn show(&mut self, number: usize, column: u32, shows: Option<Cell>) {
        let row = &mut self.rows[number];
        if row.shows == shows {
            return;
        }
        if let Some(Cell { block, blocks, quarters }) = row.shows {
            self.runs.push([number as u32, row.since, column, block, blocks * 8 + quarters]);
        }
        *row = Row { since: column, shows };
    }
}

/// The raster as the page wants it.
#[derive(Debug, Serialize)]
pub(super) struct Picture {
    rows: usize,
    arenas: Vec<ArenaRows>,
    /// Row, first column, column after the last, block, (blocks in the cell) * 8 + (quarters of it taken).
    runs: Vec<[u32; 5]>,
    /// Offset, bytes, the first row of its arena, group, standing, label.
    blocks: Vec<Block>,
    labels: Vec<String>,
}
