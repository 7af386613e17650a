//! Taking a snapshot: one scan of the table and of the free pieces.
//!
//! It is exact while nobody else is at work; a picture taken while others are may miss what came meanwhile, and shows as `unknown` what
//! neither a block nor a hole covered.

use super::snapshot::{ArenaShot, DepartureShot, EntryShot, EntryState, Piece, PieceKind, SCHEMA, Snapshot};
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::tenant::{Departure, Tenant};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, Entry, Offset, Residency};
use std::collections::BTreeMap;
use std::sync::atomic::Ordering::Relaxed;

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
            budget_bytes: inner.traffic.budget.limit().get(),
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
            address: arena.span(Offset(0), Bytes::ZERO).address().0,
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
            label: tenant.label.shared(),
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
