//! A snapshot: where every byte of every region is, and every entry that has none, at one moment.
//!
//! Made by one scan of the table and of the free pieces, so it is exact while nobody else is at work; a picture taken while others are
//! may miss what came meanwhile, and shows as `unknown` what neither a block nor a hole covered. As JSON it follows
//! `docs/snapshot.schema.json`; as a pickle it is what PyTorch's memory viewer loads (`pickle.rs`).

use super::log::EventLog;
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Entry, Residency};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// The version of the JSON's schema.
const SCHEMA: &str = "freehold-snapshot-1";

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

impl VramManager {
    /// A picture of every region and every entry. Asking is no use of anything (B4).
    ///
    /// **Complexity**: a scan of the table and of the free pieces, and a sort.
    ///
    /// ```
    /// use freehold_cuda::observe::EntryState;
    /// use freehold_cuda::{Allocation, Bytes, HostBytes, VramManager};
    ///
    /// let manager = VramManager::builder().budget(Bytes(8192)).build()?;
    /// let layer = manager.allocate(Allocation::new(Bytes(6000)).label("layer").source(HostBytes(vec![7; 6000].into())))?;
    /// let guard = layer.access()?;
    /// let snapshot = manager.snapshot();
    /// let block = snapshot.arenas[0].pieces[0].entry.as_ref().expect("it lies there");
    /// assert_eq!((&*block.label, block.state), ("layer", EntryState::Pinned));
    /// # drop(guard);
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        let inner = self.inner();
        let (mut placed, mut absent) = (BTreeMap::<u32, Vec<Piece>>::new(), Vec::new());
        let guard = epoch::pin();
        for entry in inner.table.iter(&guard) {
            let (tenant, shot) = (entry.payload(), EntryShot::of(entry));
            match tenant.place.get() {
                Some(place) => placed.entry(place.arena).or_default().push(Piece {
                    offset: place.offset.get(),
                    bytes: inner.reserved(tenant.bytes).get(),
                    entry: Some(shot),
                    kind: PieceKind::Block,
                }),
                None => absent.push(shot),
            }
        }
        absent.sort_unstable_by_key(|shot| shot.id);
        Snapshot {
            schema: SCHEMA,
            device: inner.device.info().map_or_else(|_| String::new(), |info| info.name),
            budget_bytes: inner.budget.limit().get(),
            granule_bytes: inner.granule.get(),
            arenas: arenas(inner, &mut placed),
            absent,
            statistics: self.statistics().flat(),
            log: inner.observed.log.clone(),
        }
    }
}

fn arenas(inner: &Inner, placed: &mut BTreeMap<u32, Vec<Piece>>) -> Vec<ArenaShot> {
    let live = inner.arenas.iter().filter(|(_, arena)| arena.size().get() > 0);
    live.map(|(index, arena)| {
        let mut pieces = placed.remove(&index).unwrap_or_default();
        let size = arena.size().get();
        arena.buddy().holes(|offset, bytes| {
            // What of the buddy has no region behind it is held by the arena, so no hole lies beyond the region.
            pieces.push(Piece { offset: offset.get(), bytes: bytes.get(), entry: None, kind: PieceKind::Free });
        });
        ArenaShot {
            index,
            address: arena.span(freehold_core::Offset(0), freehold_core::Bytes::ZERO).address().0,
            bytes: size,
            free_bytes: pieces.iter().filter(|piece| piece.kind == PieceKind::Free).map(|piece| piece.bytes).sum(),
            largest_hole_bytes: arena.buddy().largest_hole().get(),
            pieces: without_gaps(pieces, size),
        }
    })
    .collect()
}

/// The pieces by address; gaps between them as `unknown`, and of two that overlap only the first.
fn without_gaps(mut pieces: Vec<Piece>, size: u64) -> Vec<Piece> {
    pieces.sort_by_key(|piece| piece.offset);
    let (mut whole, mut covered) = (Vec::with_capacity(pieces.len()), 0);
    let unknown = |offset, end: u64| Piece { offset, bytes: end - offset, entry: None, kind: PieceKind::Unknown };
    for piece in pieces {
        if piece.offset < covered || piece.offset + piece.bytes > size {
            continue;
        }
        if piece.offset > covered {
            whole.push(unknown(covered, piece.offset));
        }
        covered = piece.offset + piece.bytes;
        whole.push(piece);
    }
    if covered < size {
        whole.push(unknown(covered, size));
    }
    whole
}

impl EntryShot {
    fn of(entry: &Entry<Tenant>) -> EntryShot {
        let (tenant, state) = (entry.payload(), entry.residency().snapshot());
        EntryShot {
            id: entry.id(),
            label: Arc::clone(&tenant.label),
            plugin: tenant.plugin.shared_name(),
            bytes: tenant.bytes.get(),
            state: match state.residency() {
                Residency::Resident if state.pins() > 0 => EntryState::Pinned,
                Residency::Resident => EntryState::Resident,
                Residency::Materialising => EntryState::Materialising,
                Residency::Evicting if tenant.moving.load(Relaxed) => EntryState::Moving, // Relaxed: for reports
                Residency::Evicting => EntryState::Evicting,
                _ => EntryState::Evicted,
            },
            priority: entry.priority(),
            last_use: entry.last_use(),
            pins: state.pins(),
            consumers: tenant.consumers.load(Relaxed), // Relaxed: for reports
            departure: match tenant.departure {
                Departure::Sourced => DepartureShot::Sourced,
                Departure::Spilled => DepartureShot::Spilled,
                Departure::Fixed => DepartureShot::Fixed,
            },
            dirty: state.is_dirty(),
            spilled: tenant.spilled.try_lock().is_some_and(|spilled| spilled.is_some()),
        }
    }
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
