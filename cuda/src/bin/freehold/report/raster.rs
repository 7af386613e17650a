//! Raster: who lay where at the end of each column, in a fixed number of rows of addresses.
//!
//! A cell shows the group that has most of it, and the longest block of that group in it by name. Neighbouring cells of one
//! row that show the same are one run, and blocks and labels are written once, so that a quiet arena costs next to nothing
//! and the busiest one is bounded by rows times columns.

use std::collections::HashMap;
use std::sync::Arc;

use freehold_cuda::{BlockStanding, Bytes, Occupancy, Occupied};
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

/// A block at one place, as the page lists it: offset, bytes, arena, group, standing, label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
struct Block(u64, u64, u32, u8, u8, u32);

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
    pub(super) fn look(&mut self, column: usize, seen: &Occupancy, groups: &Groups) {
        if column < self.latest {
            return;
        }
        self.latest = column;
        self.fit(&seen.arenas);
        let mut shown = vec![None; self.rows.len()];
        for (number, arena) in self.arenas.clone().into_iter().enumerate().filter(|(_, arena)| arena.bytes > 0) {
            let of_arena = |block: &&Occupied| block.arena as usize == number;
            let blocks: Vec<&Occupied> = seen.blocks.iter().filter(of_arena).collect();
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
    fn fit(&mut self, sizes: &[Bytes]) {
        let all: u64 = sizes.iter().map(|size| size.get()).sum();
        for size in &sizes[self.arenas.len().min(sizes.len())..] {
            let rows = (size.get() as u128 * u128::from(ROWS) / u128::from(all.max(1))).clamp(1, 128) as u64;
            self.arenas.push(ArenaRows { bytes: size.get(), first_row: self.rows.len() as u64, rows });
            self.rows.resize(self.rows.len() + rows as usize, Row::default());
        }
        for (arena, size) in self.arenas.iter_mut().zip(sizes).filter(|(_, size)| **size > Bytes::ZERO) {
            arena.bytes = size.get();
        }
    }

    /// What a row of an arena shows: `blocks` are the arena's, by offset.
    fn cell(&mut self, arena: ArenaRows, row: u64, blocks: &[&Occupied], groups: &Groups) -> Option<Cell> {
        let edge = |row: u64| (u128::from(arena.bytes) * u128::from(row) / u128::from(arena.rows)) as u64;
        let (start, end) = (edge(row), edge(row + 1));
        let within = |block: &Occupied| {
            (block.offset.get() + block.bytes.get()).min(end).saturating_sub(block.offset.get().max(start))
        };
        let first = blocks.partition_point(|block| block.offset.get() + block.bytes.get() <= start);
        let inside = || blocks[first..].iter().take_while(|block| block.offset.get() < end);
        let mut taken = [0; GROUPS];
        inside().for_each(|block| taken[usize::from(groups.group(&block.plugin))] += within(block));
        let group = (0..GROUPS).rev().max_by_key(|&group| taken[group]).filter(|&group| taken[group] > 0)?;
        let longest = inside()
            .filter(|block| usize::from(groups.group(&block.plugin)) == group)
            .max_by_key(|block| within(block))?;
        let quarters = (taken.iter().sum::<u64>() * 4).div_ceil((end - start).max(1)).min(4);
        let block = self.number_of(longest, group as u8);
        Some(Cell { block, blocks: inside().count().min(99) as u32, quarters: quarters as u32 })
    }

    fn number_of(&mut self, block: &Occupied, group: u8) -> u32 {
        let label = match self.label_numbers.get(&block.label) {
            Some(&known) => known,
            None => {
                self.labels.push(Arc::clone(&block.label));
                self.label_numbers.insert(Arc::clone(&block.label), self.labels.len() as u32 - 1);
                self.labels.len() as u32 - 1
            }
        };
        let standing = match block.standing {
            BlockStanding::Idle => 0,
            BlockStanding::Fixed => 1,
            BlockStanding::Pinned => 2,
            _ => 3,
        };
        let listed = Block(block.offset.get(), block.bytes.get(), block.arena, group, standing, label);
        *self.known.entry(listed).or_insert_with(|| {
            self.blocks.push(listed);
            self.blocks.len() as u32 - 1
        })
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
    /// Offset, bytes, arena, group, standing, label.
    blocks: Vec<Block>,
    labels: Vec<String>,
}
