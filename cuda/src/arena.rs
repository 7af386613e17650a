//! An arena: one device region with one buddy. Offsets become addresses here and nowhere else.
#![allow(unsafe_code, reason = "the one place where an entry's bytes are touched: A1 and A2 below")]
// A1  A span lies in one live region: it is made from a place that the arena's buddy handed out and that has not been
//     freed, and a region goes back to the device only when its buddy has handed out the whole of it to us.
// A2  A span's bytes are touched by one thread alone while the entry is in an exclusive state (Materialising, Evicting),
//     or under a pin: read through `Access`, written through `AccessMut`, which borrows the only handle exclusively.
//     Whoever calls an unsafe function below says which of the two it is.

use crate::budget::Charge;
use crate::memory::{Address, DeviceError, DeviceMemory, Region, host_pointer};
use freehold_core::{AllocateError, Block, Buddy, Bytes, Geometry, Offset, Request};
use parking_lot::Mutex;
use std::sync::Arc;

/// Where a block is: which arena, and how far from its start; and whose bytes it was charged to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) arena: u32,
    pub(crate) offset: Offset,
    pub(crate) charge: Charge,
}

/// One region of device memory and the buddy that divides it.
#[derive(Debug)]
pub(crate) struct Arena {
    device: Arc<dyn DeviceMemory>,
    base: Address,
    /// Gone once the region is back with the device. Taken at creation and return only.
    region: Mutex<Option<Region>>,
    buddy: Buddy,
}

/// The memory of one entry: an address range inside a live region (A1).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    device: &'a dyn DeviceMemory,
    address: Address,
    bytes: Bytes,
}

impl Arena {
    pub(crate) fn new(device: Arc<dyn DeviceMemory>, geometry: Geometry) -> Result<Self, DeviceError> {
        let region = device.allocate(geometry.capacity())?;
        Ok(Arena { device, base: region.address, region: Mutex::new(Some(region)), buddy: Buddy::new(geometry) })
    }

    pub(crate) fn buddy(&self) -> &Buddy {
        &self.buddy
    }

    /// The coarsest alignment that an offset's alignment still means for the address.
    pub(crate) fn alignment(&self) -> Bytes {
        Bytes(1 << self.base.0.trailing_zeros().min(62))
    }

    pub(crate) fn allocate(&self, bytes: Bytes, align: Bytes) -> Result<Offset, AllocateError> {
        let block = self.buddy.allocate(thread_hint(), Request { bytes, align })?;
        Ok(block.offset())
    }

    pub(crate) fn free(&self, offset: Offset, bytes: Bytes) {
        self.buddy.free(thread_hint(), Block::from_parts(offset, bytes));
    }

    /// Takes exactly this range out of what is free, or nothing.
    pub(crate) fn take(&self, offset: Offset, bytes: Bytes) -> bool {
        self.buddy.take(thread_hint(), offset, bytes).is_some()
    }

    /// The memory of the block of `bytes` at `offset`, which the caller holds.
    pub(crate) fn span(&self, offset: Offset, bytes: Bytes) -> Span<'_> {
        Span { device: &*self.device, address: self.base.plus(offset.get()), bytes }
    }

    /// Gives the region back to the device if nobody holds a block of it. Holding the whole arena as one block keeps
    /// everybody else out for good (A1).
    pub(crate) fn retire(&self) -> Result<bool, DeviceError> {
        let mut region = self.region.lock();
        if region.is_none() {
            return Ok(true);
        }
        if !self.take(Offset(0), self.buddy.capacity()) {
            return Ok(false);
        }
        region.take().map_or(Ok(()), |region| self.device.free(region))?;
        Ok(true)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // The last owner of the manager's insides is gone: no handle, no guard, no block can be left. An error of the
        // device here has nobody to go to: the log is told.
        if let Some(region) = self.region.get_mut().take()
            && let Err(error) = self.device.free(region)
        {
            tracing::error!(%error, "an arena could not be given back");
        }
    }
}

impl Span<'_> {
    pub(crate) fn address(&self) -> Address {
        self.address
    }

    pub(crate) fn bytes(&self) -> Bytes {
        self.bytes
    }

    /// # Safety
    /// A2: nobody else touches the span's bytes during the call.
    pub(crate) unsafe fn write(&self, start: u64, from: &[u8]) -> Result<(), DeviceError> {
        self.check(start, from.len());
        // SAFETY: A1, and the range was just checked to lie in the span; A2 by this function's contract.
        unsafe { self.device.upload(self.address.plus(start), from) }
    }

    /// # Safety
    /// A2: nobody writes the span's bytes during the call.
    pub(crate) unsafe fn read(&self, start: u64, to: &mut [u8]) -> Result<(), DeviceError> {
        self.check(start, to.len());
        // SAFETY: A1, and the range was just checked to lie in the span; A2 by this function's contract.
        unsafe { self.device.download(to, self.address.plus(start)) }
    }

    /// # Safety
    /// A2: nobody else touches either span's bytes during the call. They may overlap.
    pub(crate) unsafe fn copy_to(&self, target: &Span<'_>) -> Result<(), DeviceError> {
        assert_eq!(self.bytes, target.bytes, "a move keeps the size");
        // SAFETY: A1 for both; A2 by this function's contract.
        unsafe { self.device.copy(target.address, self.address, self.bytes) }
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
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    // Relaxed: the number only has to differ between threads.
    thread_local!(static HINT: usize = NEXT.fetch_add(1, Relaxed));
    HINT.try_with(|hint| *hint).unwrap_or(0)
}
