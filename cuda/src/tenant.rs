//! A tenant: what the table keeps of one entry, beside its residency word and rank.
//!
//! Everything a stranger (an evictor, a mover, a report) needs is here; what only its own handles need, the source
//! above all, is in [`Tenancy`](crate::tenancy::Tenancy) and leaves with the last of them.

use crate::allocation::{Allocation, Backing};
use crate::arena::Place;
use crate::budget::{Account, Charge, Reservation};
use crate::label::Label;
use crate::memory::{Address, DeviceError};
use crate::plugin::Plugin;
use crate::policy::BeatCell;
use crate::spill::Spilled;
use crate::stream::StreamUse;
use crate::tenancy::Tenancy;
use event_listener::Event;
use freehold_core::{Bytes, Offset};
use parking_lot::Mutex;
use std::mem::take;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};

/// How an entry may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Departure {
    /// Its bytes can be had again: its memory is just freed, unless it was written to.
    Sourced,
    /// Its bytes are written out first.
    Spilled,
    /// Never.
    Fixed,
}

/// One entry's description and whereabouts.
#[derive(Debug)]
pub(crate) struct Tenant {
    pub(crate) label: Label,
    pub(crate) metadata: Label,
    pub(crate) plugin: Plugin,
    pub(crate) bytes: Bytes,
    pub(crate) align: Bytes,
    pub(crate) departure: Departure,
    pub(crate) account: Option<Account>,
    pub(crate) place: PlaceCell,
    /// After how many uses of its plugin it comes again, where the policy learns that.
    pub(crate) beat: BeatCell,
    /// Who can bring it ahead of its use, where the policy learns. Weak: what is released is not brought.
    pub(crate) owner: OnceLock<Weak<Tenancy>>,
    /// Whether it was brought ahead of its use, and has not been used since.
    pub(crate) early: Early,
    pub(crate) streams: StreamUse,
    /// What was written out at the last eviction. Touched in exclusive states and after the end only: nobody waits for it.
    pub(crate) spilled: Mutex<Option<Spilled>>,
    /// Set when a move failed half-way and nobody has the bytes any more: the entry is absent, and every access says so
    /// rather than show what is left.
    pub(crate) lost: OnceLock<DeviceError>,
    /// How many consumers share it, for reports. Relaxed: it decides nothing.
    pub(crate) consumers: AtomicU32,
    /// Set while it is on its way to another place, for reports. Relaxed: as `consumers`.
    pub(crate) moving: AtomicBool,
    /// Rings when a Materialising or Evicting entry has settled, or the last of several pins is gone.
    pub(crate) changed: Event,
}

/// Where an entry's memory is, while it has any.
///
/// Written only by the thread in the entry's exclusive state; whoever holds a pin reads what was published with the
/// Resident state. Relaxed: the residency word's Release and Acquire order it; a survey that reads it without a pin
/// takes it for a hint.
#[derive(Debug)]
pub(crate) struct PlaceCell {
    offset: AtomicU64,
    arena: AtomicU64,
    /// What the arena makes of it, so that an access need not ask there; 0 while there is no memory.
    address: AtomicU64,
}

/// The arena word of an entry that has no memory.
const NOWHERE: u64 = u64::MAX;

/// Set in the arena word of a block that was charged to its entry's reservation.
const RESERVED: u64 = 1 << 32;

impl PlaceCell {
    fn nowhere() -> Self {
        PlaceCell { offset: AtomicU64::new(0), arena: AtomicU64::new(NOWHERE), address: AtomicU64::new(0) }
    }

    pub(crate) fn get(&self) -> Option<Place> {
        let arena = self.arena.load(Relaxed);
        let offset = Offset(self.offset.load(Relaxed));
        let charge = if arena & RESERVED == 0 { Charge::Budget } else { Charge::Reservation };
        (arena != NOWHERE).then_some(Place { arena: arena as u32, offset, charge })
    }

    #[inline]
    pub(crate) fn address(&self) -> Address {
        Address(self.address.load(Relaxed))
    }

    pub(crate) fn set(&self, place: Place, address: Address) {
        self.offset.store(place.offset.get(), Relaxed);
        let charge = if place.charge == Charge::Reservation { RESERVED } else { 0 };
        self.arena.store(u64::from(place.arena) | charge, Relaxed);
        self.address.store(address.0, Relaxed);
    }

    pub(crate) fn take(&self) -> Option<Place> {
        let place = self.get();
        self.arena.store(NOWHERE, Relaxed);
        self.address.store(0, Relaxed);
        place
    }
}

impl Tenant {
    /// Takes its texts out of the allocation.
    pub(crate) fn new(allocation: &mut Allocation, plugin: Plugin) -> Self {
        Tenant {
            label: take(&mut allocation.label),
            metadata: take(&mut allocation.metadata),
            plugin,
            bytes: allocation.bytes,
            align: allocation.align,
            departure: Departure::of(&allocation.backing),
            account: allocation.reservation.as_ref().map(Reservation::account),
            place: PlaceCell::nowhere(),
            beat: BeatCell::default(),
            owner: OnceLock::new(),
            early: Early::default(),
            streams: StreamUse::default(),
            spilled: Mutex::new(None),
            lost: OnceLock::new(),
            consumers: AtomicU32::new(0),
            moving: AtomicBool::new(false),
            changed: Event::new(),
        }
    }
}

impl Tenant {
    /// Its tenancy, while anybody has a handle.
    pub(crate) fn owner(&self) -> Option<Arc<Tenancy>> {
        self.owner.get().and_then(Weak::upgrade)
    }
}

/// A mark on an entry that was brought before anybody asked. Relaxed: one use more or less that sees it changes nothing.
#[derive(Debug, Default)]
pub(crate) struct Early(AtomicBool);

impl Early {
    pub(crate) fn set(&self, early: bool) {
        self.0.store(early, Relaxed);
    }

    /// Whether this is the first use since. A plain load, where it is not.
    pub(crate) fn used(&self) -> bool {
        self.0.load(Relaxed) && self.0.swap(false, Relaxed)
    }
}

impl Departure {
    fn of(backing: &Backing) -> Self {
        match backing {
            Backing::Source(_) => Departure::Sourced,
            Backing::Spill => Departure::Spilled,
            Backing::Fixed => Departure::Fixed,
        }
    }
}
