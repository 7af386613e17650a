//! A card as a device: what the manager calls, said in copies on our own streams, each put behind whom it has to be behind.
#![allow(unsafe_code, reason = "driver calls: V1, and the promise D1")]

use super::CudaDevice;
use super::library::refused;
use super::pieces::pieces;
use super::regions::REGION_ALIGN;
use super::streams::{IN, INSIDE, OUT};
use crate::memory::{Address, DeviceError, DeviceInfo, DeviceMemory, Region};
use crate::source::PinnedBytes;
use crate::stream::{StreamId, StreamSet};
use cudarc::driver::result::{self, DriverError};
use freehold_core::Bytes;
use std::sync::Arc;

// SAFETY: D1. A region lies in one device allocation of its own, at a page's start, which nobody else gets before it is freed; the
// driver gives memory that holds some bytes. Its addresses are not the host's, and `host_addressable` says so.
unsafe impl DeviceMemory for CudaDevice {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        let name = result::device::get_name(self.context.device());
        let name = name.map_err(|error| refused("ask for the card's name", error))?;
        let (free, total) = self.context.memory()?;
        Ok(DeviceInfo { name, total, free })
    }

    fn region_align(&self) -> Bytes {
        Bytes(REGION_ALIGN)
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        self.regions.allocate(&self.context, bytes)
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        self.regions.free(&self.context, region)
    }

    fn host_addressable(&self) -> bool {
        false
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        let behind = unsafe { self.upload_behind(to, from, StreamSet::EMPTY) }?;
        self.wait(behind)
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        unsafe { self.download_behind(to, from, StreamSet::EMPTY) }
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        let behind = unsafe { self.copy_behind(to, from, bytes, StreamSet::EMPTY) }?;
        self.wait(behind)
    }

    unsafe fn upload_behind(&self, to: Address, from: &[u8], after: StreamSet) -> Result<StreamSet, DeviceError> {
        self.order(after, StreamId::new(IN))?;
        if !self.pinned.note_readers(from, own(IN)) {
            // SAFETY: the caller's promise, passed on; our stream is behind `after`.
            unsafe { self.staging.copy_in(to, from) }.inspect_err(|_| self.settle(IN))?;
            return Ok(own(IN));
        }
        // SAFETY: as above; the bytes stay as they are until our stream has read them (P2 of pinned.rs).
        let copy = || unsafe { result::memcpy_htod_async(to.0, from, self.streams.own(IN)) };
        let copied = self.context.bind().and_then(|_bound| copy());
        copied.map_err(|error| self.give_up(IN, error, "copy pinned bytes to the card"))?;
        Ok(own(IN))
    }

    unsafe fn download_behind(&self, to: &mut [u8], from: Address, after: StreamSet) -> Result<(), DeviceError> {
        self.order(after, StreamId::new(OUT))?;
        // SAFETY: the caller's promise, passed on; our stream is behind `after`.
        unsafe { self.staging.copy_out(to, from) }.inspect_err(|_| self.settle(OUT))
    }

    unsafe fn copy_behind(
        &self,
        to: Address,
        from: Address,
        bytes: Bytes,
        after: StreamSet,
    ) -> Result<StreamSet, DeviceError> {
        self.order(after, StreamId::new(INSIDE))?;
        let copied = self.context.bind().and_then(|_bound| {
            pieces(to, from, bytes).try_for_each(|(start, length)| {
                let (to, from) = (to.0 + start, from.0 + start);
                // SAFETY: V1 and the caller's promise; the pieces do not overlap themselves.
                unsafe { result::memcpy_dtod_async(to, from, length as usize, self.streams.own(INSIDE)) }
            })
        });
        copied.map_err(|error| self.give_up(INSIDE, error, "copy inside the card"))?;
        Ok(own(INSIDE))
    }

    fn wait(&self, streams: StreamSet) -> Result<(), DeviceError> {
        self.streams.wait(streams)
    }

    fn order(&self, first: StreamSet, then: StreamId) -> Result<(), DeviceError> {
        self.streams.order(first, then)
    }

    fn register_pinned(self: Arc<Self>, bytes: &PinnedBytes) -> Result<(), DeviceError> {
        self.register(bytes)
    }

    fn cuda(&self) -> Option<&CudaDevice> {
        Some(self)
    }
}

/// A stream of our own as a set.
fn own(number: usize) -> StreamSet {
    StreamId::new(number).into()
}

impl CudaDevice {
    /// What ends a copy on a stream of our own that went wrong half way: nothing of it is under way when this returns.
    fn give_up(&self, own: usize, error: DriverError, action: &str) -> DeviceError {
        self.settle(own);
        refused(action, error)
    }

    /// Waits for one of our own streams after an error. One that cannot be waited for belongs to a lost device, which
    /// copies nothing any more: what it says is no news.
    fn settle(&self, own: usize) {
        let _ = self.context.bind().and_then(|_bound| self.streams.finish_own(own));
    }
}
