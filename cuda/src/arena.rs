//! An arena: one device region with one buddy. Offsets become addresses here and nowhere else.
#![allow(unsafe_code, reason = "the one place where an entry's bytes are touched: A1 and A2 below")]
// A1  A span lies in one live region: it is made from a place that the arena's buddy handed out and that has not been
//     freed, and a region goes back to the device only when its buddy has handed out the whole of it to us.
// A2  A span's bytes are touched by one thread alone while the entry is in an exclusive state (Materialising, Evicting),
//     or under a pin: read through `Access`, written through `AccessMut`, which borrows the only handle exclusively.
//     Whoever calls an unsafe function below says which of the two it is.

use crate::budget::Charge;
use crate::counters::Regions;
use crate::fence::Fences;
use crate::fork;
use crate::memory::{Address, DeviceError, DeviceMemory, Region, host_pointer};
use crate::stream::{StreamSet, StreamUse};
use freehold_core::{AllocateError, Block, Buddy, Bytes, Geometry, Offset, Request};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};

/// Where a block is: which arena, and how far from its start; and whose bytes it was charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) arena: u32,
    pub(crate) offset: Offset,
    pub(crate) charge: Charge,
}

/// One region of device memory and the buddy that divides it. The region comes and goes; what of the buddy has no region
/// behind it is held by the arena itself, so nobody else can have a block there.
#[derive(Debug)]
pub(crate) struct Arena {
    device: Arc<dyn DeviceMemory>,
    /// Where the region begins. Relaxed: it changes only while nobody has a block, and whoever gets a block afterwards
    /// gets it from the buddy, whose Release and Acquire bring this along.
    base: AtomicU64,
    /// The region's size, 0 while there is none. Relaxed: as `base`, and for the books.
    size: AtomicU64,
    /// The process whose memory it is (E8).
    forks: u64,
    /// Taken when the region comes or goes, by whoever has the turn to make room; never on an access.
    region: Mutex<Option<Region>>,
    buddy: Buddy,
    fences: Fences,
    regions: Arc<Regions>,
}

/// The memory of one entry: an address range inside a live region (A1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    device: &'a dyn DeviceMemory,
    address: Address,
    bytes: Bytes,
}

impl Arena {
    /// An arena of this shape, without a region.
    pub(crate) fn new(device: Arc<dyn DeviceMemory>, geometry: Geometry, regions: Arc<Regions>) -> Self {
        let [base, size] = [0, 0].map(AtomicU64::new);
        let (forks, fences) = (fork::generation(), Fences::default());
        let arena =
            Arena { device, base, size, forks, region: Mutex::new(None), buddy: Buddy::new(geometry), fences, regions };
        let held = arena.take(Offset(0), arena.buddy.capacity());
        debug_assert!(held, "a new buddy is all free");
        arena
    }

    /// Gets a region of `bytes` from the device, at most the arena's capacity, where there is none. The mirror of
    /// `give_back`.
    pub(crate) fn get(&self, bytes: Bytes) -> Result<(), DeviceError> {
        let mut region = self.region.lock();
        if region.is_none() {
            let fresh = self.device.allocate(bytes)?;
            self.base.store(fresh.address.0, Relaxed);
            self.size.store(bytes.get(), Relaxed);
            self.regions.came(fresh.address.0, bytes.get());
            *region = Some(fresh);
            self.free(Offset(0), bytes);
        }
        Ok(())
    }

    /// Gives the region back to the device if nobody holds a block of it; says whether the arena is without a region now.
    pub(crate) fn give_back(&self) -> Result<bool, DeviceError> {
        let mut region = self.region.lock();
        if region.is_some() && !self.take(Offset(0), self.size()) {
            return Ok(false);
        }
        let (address, size) = (self.base.load(Relaxed), self.size().get());
        self.size.store(0, Relaxed);
        if region.is_some() {
            self.regions.went(address, size);
        }
        region.take().map_or(Ok(()), |region| self.hand_over(region))?;
        Ok(true)
    }

    /// The size of its region now, 0 where there is none. Changes under the turn to make room, and at close.
    pub(crate) fn size(&self) -> Bytes {
        Bytes(self.size.load(Relaxed))
    }

    /// The bytes of the blocks in it.
    pub(crate) fn given_out(&self) -> Bytes {
        Bytes(self.size().get().saturating_sub(self.buddy.free_bytes().get()))
    }

    pub(crate) fn buddy(&self) -> &Buddy {
        &self.buddy
    }

    pub(crate) fn allocate(&self, bytes: Bytes, align: Bytes) -> Result<Offset, AllocateError> {
        let block = self.buddy.allocate(thread_hint(), Request { bytes, align })?;
        Ok(block.offset())
    }

    pub(crate) fn free(&self, offset: Offset, bytes: Bytes) {
        self.buddy.free(thread_hint(), Block::from_parts(offset, bytes));
    }

    /// Whom the new owner of this block has to be behind: streams that may still be at work in it. Told once.
    pub(crate) fn earlier_users(&self, offset: Offset, bytes: Bytes) -> StreamSet {
        self.fences.take(offset.get()..offset.get() + bytes.get())
    }

    /// Says, before this block is freed, which streams may still be at work in it.
    pub(crate) fn note_users(&self, offset: Offset, bytes: Bytes, streams: StreamSet) {
        self.fences.note(offset.get()..offset.get() + bytes.get(), streams);
    }

    /// Takes exactly this range out of what is free, or nothing.
    pub(crate) fn take(&self, offset: Offset, bytes: Bytes) -> bool {
        self.buddy.take(thread_hint(), offset, bytes).is_some()
    }

    /// The memory of the block of `bytes` at `offset`, which the caller holds.
    #[inline]
    pub(crate) fn span(&self, offset: Offset, bytes: Bytes) -> Span<'_> {
        Span { device: &*self.device, address: Address(self.base.load(Relaxed)).plus(offset.get()), bytes }
    }

    /// Frees the region once no stream is at work in it. A device that cannot say so any more is asked to free it all the
    /// same: what it says to that is the answer.
    fn hand_over(&self, region: Region) -> Result<(), DeviceError> {
        let waited = self.device.wait(self.fences.take(0..u64::MAX));
        self.device.free(region).and(waited)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // The last owner of the manager's insides is gone: no handle, no guard, no block can be left. An error of the
        // device here has nobody to go to: the log is told.
        if !fork::is_still(self.forks) {
            return;
        }
        if let Some(region) = self.region.get_mut().take()
            && let Err(error) = self.hand_over(region)
        {
            tracing::error!(%error, "an arena could not be given back");
        }
    }
}

impl Span<'_> {
    #[inline]
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// Writes behind whoever used the bytes before. Whoever comes next has to be behind the write: `streams`, the entry's
    /// own, remembers that.
    ///
    /// # Safety
    /// A2: nobody else touches the span's bytes, but for the streams of `streams`, before.
    pub(crate) unsafe fn write(&self, start: u64, from: &[u8], streams: &StreamUse) -> Result<(), DeviceError> {
        self.check(start, from.len());
        // SAFETY: A1, and the range was just checked to lie in the span; A2 by this function's contract.
        let behind = unsafe { self.device.upload_behind(self.address.plus(start), from, streams.before()) }?;
        streams.begin(behind);
        Ok(())
    }

    /// # Safety
    /// A2: nobody writes the span's bytes during the call but the streams of `after`, before.
    pub(crate) unsafe fn read(&self, start: u64, to: &mut [u8], after: StreamSet) -> Result<(), DeviceError> {
        self.check(start, to.len());
        // SAFETY: A1, and the range was just checked to lie in the span; A2 by this function's contract.
        unsafe { self.device.download_behind(to, self.address.plus(start), after) }
    }

    /// Returns the streams behind which the copy is there.
    ///
    /// # Safety
    /// A2: nobody else touches either span's bytes who is not behind `after` or the returned streams. They may overlap.
    pub(crate) unsafe fn copy_to(&self, target: &Span<'_>, after: StreamSet) -> Result<StreamSet, DeviceError> {
        assert_eq!(self.bytes, target.bytes, "a move keeps the size");
        // SAFETY: A1 for both; A2 by this function's contract.
        unsafe { self.device.copy_behind(target.address, self.address, self.bytes, after) }
    }

    /// The bytes themselves, where the host can reach them.
    pub(crate) fn host_bytes(&self) -> Option<*mut [u8]> {
        let reachable = self.device.host_addressable();
        reachable.then(|| std::ptr::slice_from_raw_parts_mut(host_pointer(self.address), self.bytes.get() as usize))
    }

    fn check(&self, start: u64, length: usize) {
        let end = start.checked_add(length as u64);
        assert!(end.is_some_and(|end| end <= self.bytes.get()), "{length} bytes at {start} of {}", self.bytes);
    }
}

/// A small number of this thread's own: which slot of a buddy it prefers, so that two threads seldom meet.
pub(crate) fn thread_hint() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: the number only has to differ between threads.
    thread_local!(static HINT: usize = NEXT.fetch_add(1, Relaxed));
    HINT.try_with(|hint| *hint).unwrap_or(0)
}
