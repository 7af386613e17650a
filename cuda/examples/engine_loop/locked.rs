//! The loop's memory managed as an engine's author would in an afternoon: an allocator in constant time (two-level
//! segregated fit), the entries and their last use behind one mutex. It is not a straw man: bytes are copied with the
//! mutex let go, unless it is told otherwise; last use is one store; victims are found in one walk over a short list.
#![allow(unsafe_code, reason = "bytes are copied to and from the device: L1")]
// L1  An allocation of `tlsf` lies in `region`, which is freed last. Nobody else has it: it belongs to one entry, which is
//     `busy` while its bytes are written, and has no pins while it is evicted.

use super::engine::{Memory, Plan};
use freehold_cuda::{Bytes, DeviceMemory, Region};
use offset_allocator::{Allocation, Allocator};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::error::Error;
use std::sync::Arc;

/// What the allocator counts in.
const UNIT: u64 = 512;

pub(crate) struct Locked {
    device: Arc<dyn DeviceMemory>,
    region: Option<Region>,
    weights: Vec<Arc<[u8]>>,
    copies_inside: bool,
    state: Mutex<State>,
    settled: Condvar,
}

struct State {
    tlsf: Allocator,
    free: u64,
    /// What of the headroom is not in use: weights may not have it.
    headroom: u64,
    entries: Vec<Entry>,
    now: u64,
    loads: u64,
}

#[derive(Default)]
struct Entry {
    units: u64,
    priority: i32,
    place: Option<Allocation>,
    pins: u32,
    busy: bool,
    last_use: u64,
}

impl Locked {
    pub(crate) fn new(
        plan: &Plan,
        device: &Arc<dyn DeviceMemory>,
        copies_inside: bool,
    ) -> Result<Self, Box<dyn Error>> {
        let units = |bytes: usize| (bytes as u64).div_ceil(UNIT);
        let entry = |(weight, content): (usize, &Arc<[u8]>)| Entry {
            units: units(content.len()),
            priority: plan.priority(weight),
            ..Entry::default()
        };
        let state = State {
            tlsf: Allocator::new((Plan::BUDGET / UNIT) as u32),
            free: Plan::BUDGET / UNIT,
            headroom: Plan::HEADROOM / UNIT,
            entries: plan.weights.iter().enumerate().map(entry).collect(),
            now: 0,
            loads: 0,
        };
        Ok(Locked {
            region: Some(device.allocate(Bytes(Plan::BUDGET))?),
            device: Arc::clone(device),
            weights: plan.weights.clone(),
            copies_inside,
            state: Mutex::new(state),
            settled: Condvar::new(),
        })
    }

    /// Pins a weight, bringing it where it is not there.
    fn pin(&self, weight: usize) -> Result<Allocation, Box<dyn Error>> {
        let mut state = self.state.lock();
        while state.entries[weight].busy {
            self.settled.wait(&mut state);
        }
        state.now += 1;
        let now = state.now;
        let entry = &mut state.entries[weight];
        (entry.pins, entry.last_use) = (entry.pins + 1, now);
        match entry.place {
            Some(place) => Ok(place),
            None => self.bring(weight, state),
        }
    }

    fn bring(&self, weight: usize, mut state: MutexGuard<'_, State>) -> Result<Allocation, Box<dyn Error>> {
        let (units, headroom) = (state.entries[weight].units, state.headroom);
        let place = state.place(units, headroom)?;
        state.entries[weight].busy = true;
        state.loads += 1;
        let upload = || {
            let to = self.region.as_ref().expect("live").address.plus(u64::from(place.offset) * UNIT);
            // SAFETY: L1.
            unsafe { self.device.upload(to, &self.weights[weight]) }
        };
        let uploaded = if self.copies_inside { upload() } else { MutexGuard::unlocked(&mut state, upload) };
        let entry = &mut state.entries[weight];
        (entry.busy, entry.place) = (false, Some(place));
        self.settled.notify_all();
        Ok(uploaded.map(|()| place)?)
    }

    fn unpin(&self, weight: usize) {
        self.state.lock().entries[weight].pins -= 1;
    }
}

impl State {
    /// A place that leaves `spare` free, evicting by priority, then by last use, until there is one.
    fn place(&mut self, units: u64, spare: u64) -> Result<Allocation, Box<dyn Error>> {
        loop {
            if self.free >= units + spare
                && let Some(place) = self.tlsf.allocate(units as u32)
            {
                self.free -= units;
                return Ok(place);
            }
            let evictable = self.entries.iter_mut().filter(|entry| entry.pins == 0 && entry.place.is_some());
            let victim =
                evictable.min_by_key(|entry| (entry.priority, entry.last_use)).ok_or("no room, and nobody to evict")?;
            let (units, place) = (victim.units, victim.place.take().expect("filtered"));
            self.give_back(units, place);
        }
    }

    fn give_back(&mut self, units: u64, place: Allocation) {
        self.tlsf.free(place);
        self.free += units;
    }
}

impl Memory for Locked {
    type Block = (u64, Allocation);

    fn access(&self, weight: usize) -> Result<(), Box<dyn Error>> {
        self.pin(weight)?;
        self.unpin(weight);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> Result<Self::Block, Box<dyn Error>> {
        let units = bytes.div_ceil(UNIT);
        let mut state = self.state.lock();
        let place = state.place(units, 0)?;
        state.headroom -= units;
        Ok((units, place))
    }

    fn free(&self, (units, place): Self::Block) {
        let mut state = self.state.lock();
        state.headroom += units;
        state.give_back(units, place);
    }

    fn read(&self, weight: usize, to: &mut [u8]) -> Result<(), Box<dyn Error>> {
        let place = self.pin(weight)?;
        let from = self.region.as_ref().expect("live").address.plus(u64::from(place.offset) * UNIT);
        // SAFETY: L1. The weight is pinned: nobody writes its bytes.
        let read = unsafe { self.device.download(to, from) };
        self.unpin(weight);
        Ok(read?)
    }

    fn loads(&self) -> u64 {
        self.state.lock().loads
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        let freed = self.region.take().map(|region| self.device.free(region));
        assert!(matches!(freed, Some(Ok(()))), "the region goes back");
    }
}
