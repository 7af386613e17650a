//! The arenas of one manager: a few large ones, had from the device when they are needed, given back by a trim.
//!
//! Their sizes sum up to the budget at most. A slot, once it has an arena of some size, keeps its buddy; the region
//! behind it comes and goes. Everything that changes is changed by whoever has the turn to make room; who looks for a
//! block, or for the address of one, only reads.

use crate::arena::Arena;
use crate::counters::Regions;
use crate::memory::{DeviceError, DeviceMemory};
use crate::observe::EventLog;
use freehold_core::{Bytes, Geometry};
use std::sync::{Arc, OnceLock};

/// More arenas than these are not a few large ones.
const MOST_ARENAS: usize = 64;

/// All arenas of a manager.
#[derive(Debug)]
pub(crate) struct Arenas {
    device: Arc<dyn DeviceMemory>,
    granule: Bytes,
    /// What an arena is made of where the request asks for no more and the budget leaves no less.
    usual: Bytes,
    slots: [OnceLock<Arena>; MOST_ARENAS],
    pub(crate) regions: Arc<Regions>,
}

/// Why there is no further arena.
#[derive(Debug)]
pub(crate) enum NoGrowth {
    /// The budget, or the number of arenas, leaves no room for it.
    Spent,
    /// The device refused, although the books say free (E2).
    Refused(DeviceError),
}

impl Arenas {
    pub(crate) fn new(device: Arc<dyn DeviceMemory>, granule: Bytes, usual: Bytes, log: Option<Arc<EventLog>>) -> Self {
        let regions = Arc::new(Regions { log, ..Regions::default() });
        Arenas { device, granule, usual, slots: [const { OnceLock::new() }; MOST_ARENAS], regions }
    }

    /// The first region, which the manager cannot begin without.
    pub(crate) fn first(&self, bytes: Bytes) -> Result<(), DeviceError> {
        self.make_exactly(bytes).map_or(Ok(()), |arena| arena.get(bytes))
    }

    /// The arenas that were ever made, with their numbers.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &Arena)> {
        (0..).zip(&self.slots).filter_map(|(index, slot)| Some((index, slot.get()?)))
    }

    /// The arena in which somebody has a block.
    #[inline]
    pub(crate) fn at(&self, index: u32) -> &Arena {
        self.slots[index as usize].get().expect("an arena that gave out a block exists")
    }

    /// The bytes of all regions.
    pub(crate) fn live_bytes(&self) -> Bytes {
        Bytes(self.iter().map(|(_, arena)| arena.size().get()).sum())
    }

    /// One more region, large enough for a block of `need`, as long as all of them fit into `limit`. Where they do not,
    /// regions that nobody uses are given back first: one that is too small for a request must not stand in its way.
    pub(crate) fn grow(&self, need: Bytes, limit: Bytes) -> Result<(), NoGrowth> {
        if self.left_of(limit) < need {
            self.trim().map_err(NoGrowth::Refused)?;
        }
        let left = self.left_of(limit);
        let bytes = self.usual.max(need).min(left);
        if bytes < need || bytes == Bytes::ZERO {
            return Err(NoGrowth::Spent);
        }
        let arena = self.sleeping(bytes).or_else(|| self.make(bytes)).ok_or(NoGrowth::Spent)?;
        arena.get(bytes).map_err(|error| {
            self.regions.refused.add(1);
            NoGrowth::Refused(error)
        })
    }

    /// Whether there is a slot for a region of `bytes` once the arenas that `empties` names were given back.
    pub(crate) fn has_slot(&self, bytes: Bytes, empties: impl Fn(u32) -> bool) -> bool {
        let vacant = self.slots.iter().any(|slot| slot.get().is_none());
        vacant || self.iter().any(|(index, arena)| arena.buddy().capacity() >= bytes && empties(index))
    }

    /// Gives every region back that nobody uses; says how many bytes went (E6).
    pub(crate) fn trim(&self) -> Result<Bytes, DeviceError> {
        let mut returned = Bytes::ZERO;
        for (_, arena) in self.iter() {
            let size = arena.size();
            returned = returned + if arena.give_back()? { size } else { Bytes::ZERO };
        }
        Ok(returned)
    }

    fn left_of(&self, limit: Bytes) -> Bytes {
        Bytes(limit.get().saturating_sub(self.live_bytes().get()))
    }

    /// The smallest arena without a region that can take one of this size.
    fn sleeping(&self, bytes: Bytes) -> Option<&Arena> {
        let sleeping = self.iter().map(|(_, arena)| arena).filter(|arena| arena.size() == Bytes::ZERO);
        sleeping.filter(|arena| arena.buddy().capacity() >= bytes).min_by_key(|arena| arena.buddy().capacity())
    }

    /// An arena in a slot that has none. Its buddy is made for a power of two, of which the region may be a part: so a slot
    /// serves every size up to that again, and many sizes one after the other do not use the slots up.
    fn make(&self, bytes: Bytes) -> Option<&Arena> {
        let roomy = Bytes(bytes.get().checked_next_power_of_two()?).checked_round_up(self.granule)?;
        self.make_exactly(roomy)
    }

    fn make_exactly(&self, bytes: Bytes) -> Option<&Arena> {
        let geometry = Geometry::new(bytes, self.granule).ok()?;
        let vacant = self.slots.iter().find(|slot| slot.get().is_none())?;
        Some(vacant.get_or_init(|| Arena::new(Arc::clone(&self.device), geometry, Arc::clone(&self.regions))))
    }
}
