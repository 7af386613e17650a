//! A snapshot: where every byte of every region is, and every entry that has none, at one moment.
//!
//! As JSON it follows `docs/snapshot.schema.json`; as a pickle it is what PyTorch's memory viewer loads (`pickle.rs`). How it is
//! taken: `picture.rs`.

use super::log::EventLog;
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

/// The version of the JSON's schema.
pub(super) const SCHEMA: &str = "freehold-snapshot-1";

/// A picture of a manager: [`VramManager::snapshot`](crate::VramManager::snapshot).
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Snapshot {
    /// Which schema this follows.
    pub schema: &'static str,
    /// The device's name.
    pub device: String,
    /// The bytes that may be charged.
    pub budget_bytes: u64,
    /// The smallest unit.
    pub granule_bytes: u64,
    /// The regions, by number.
    pub arenas: Vec<ArenaShot>,
    /// Entries that have no memory now, oldest first.
    pub absent: Vec<EntryShot>,
    /// Every statistic, under its key: see [`Statistics::flat`](super::Statistics::flat).
    pub statistics: BTreeMap<String, i64>,
    /// The log's last records, where there is a log. Not part of the JSON.
    #[serde(skip)]
    pub(super) log: Option<Arc<EventLog>>,
}

/// One region and what lies in it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ArenaShot {
    /// Its number.
    pub index: u32,
    /// Where it begins.
    pub address: u64,
    /// Its size.
    pub bytes: u64,
    /// What of it no block covers.
    pub free_bytes: u64,
    /// The largest free piece.
    pub largest_hole_bytes: u64,
    /// What lies in it and what does not, by address, without a gap.
    pub pieces: Vec<Piece>,
}

/// A piece of a region.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Piece {
    /// How far from the region's beginning.
    pub offset: u64,
    /// How long, in whole granules.
    pub bytes: u64,
    /// Who has it: nobody, where it is free or not known.
    pub entry: Option<EntryShot>,
    /// `free`, `block`, or `unknown`: in nobody's hands that were seen.
    pub kind: PieceKind,
}

/// What a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum PieceKind {
    /// Nobody has it.
    Free,
    /// An entry has it.
    Block,
    /// Somebody was at work here.
    Unknown,
}

/// One entry.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct EntryShot {
    /// Its number, never used again.
    pub id: u64,
    /// Its label.
    pub label: Arc<str>,
    /// Whose it is.
    pub plugin: Arc<str>,
    /// Its size as asked for.
    pub bytes: u64,
    /// Where it is in its life.
    pub state: EntryState,
    /// How important it is.
    pub priority: i32,
    /// The tick of its last use.
    pub last_use: u64,
    /// How many use it now.
    pub pins: u64,
    /// How many consumers share it; 0 where it is not shared weights.
    pub consumers: u32,
    /// How it may leave.
    pub departure: DepartureShot,
    /// Whether it was written to since its bytes came, or has no source.
    pub dirty: bool,
    /// Whether an eviction wrote its bytes out to host memory.
    pub spilled: bool,
}

/// Where an entry is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum EntryState {
    /// On the card, and nobody uses it.
    Resident,
    /// On the card and in use.
    Pinned,
    /// On its way in.
    Materialising,
    /// On its way out.
    Evicting,
    /// On its way to another place.
    Moving,
    /// Not on the card: it was evicted, or never came.
    Evicted,
}

/// How an entry may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DepartureShot {
    /// Its bytes can be had again.
    Sourced,
    /// Its bytes are written out first.
    Spilled,
    /// Never.
    Fixed,
}

impl Snapshot {
    /// Writes it as JSON, as `docs/snapshot.schema.json` describes it.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_json(&self, mut out: impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut out, self)?;
        writeln!(out)
    }
}
