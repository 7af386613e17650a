//! A card's memory through cudarc: arenas by plain device allocation, copies on two streams of our own, order by events.
//!
//! ```text
//!   bytes come in    pageable --> staging (pinned) --> stream 0 --> card      the host copies, then goes on
//!                    pinned ------------------------> stream 0 --> card      the host goes on at once
//!   bytes move       card --> stream 0 --> card
//!   bytes go out     card --> stream 1 --> staging --> pageable              the host waits
//! ```
//!
//! Nothing here waits for a stream of the program's on the host: our streams are put behind it by an event.
#![allow(unsafe_code, reason = "driver calls: V1, and the promise D1")]
// V1  Calls are made bound to the context that owns the region, the stream and the event they name (`Context::bind`).

mod context;
mod library;
mod pinned;
mod staging;
mod streams;

pub use library::{Card, devices, driver_version};

use self::context::Context;
use self::library::{refused, uuid_text};
use self::pinned::PinnedRanges;
use self::staging::Staging;
use self::streams::{IN, OUT, Streams};
use super::{Address, DeviceError, DeviceInfo, DeviceMemory, Region};
use crate::stream::{StreamId, StreamSet};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{CudaContext, CudaStream, sys};
use freehold_core::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Where regions begin: at pages of a card's memory. The driver promises 256 bytes, and gives large allocations a page.
const REGION_ALIGN: u64 = 2 << 20;

/// One card. Several managers may share it, each with arenas of its own.
#[derive(Debug)]
pub struct CudaDevice {
    // In the order of their end: staging gives its events back to the streams, and all are in the context.
    staging: Staging,
    streams: Arc<Streams>,
    pinned: PinnedRanges,
    /// Regions that do not begin where their allocation does. Taken when a region comes or goes.
    padded: Mutex<BTreeMap<u64, u64>>,
    context: Arc<Context>,
}

impl CudaDevice {
    /// The card of this number, by its primary context, which cudarc's `CudaContext::new` gives too.
    ///
    /// # Errors
    /// No driver, no such card, or the driver's refusal.
    pub fn new(ordinal: usize) -> Result<Arc<Self>, DeviceError> {
        CudaDevice::open(Context::of(ordinal)?)
    }

    /// The card of this name, as [`Card::uuid`] has it; upper and lower case are the same.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn by_uuid(uuid: &str) -> Result<Arc<Self>, DeviceError> {
        let card = devices()?.into_iter().find(|card| card.uuid.eq_ignore_ascii_case(uuid));
        let card =
            card.ok_or_else(|| DeviceError::new(format_args!("open card {uuid}"), "the driver lists no such card"))?;
        CudaDevice::new(card.ordinal)
    }

    /// The card of a context that the program has already.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn from_context(context: Arc<CudaContext>) -> Result<Arc<Self>, DeviceError> {
        CudaDevice::open(Context::shared(context))
    }

    fn open(context: Context) -> Result<Arc<Self>, DeviceError> {
        let context = Arc::new(context);
        let streams = Streams::new(Arc::clone(&context)).map_err(|error| refused("make streams", error))?;
        let streams = Arc::new(streams);
        let staging = Staging::new(Arc::clone(&context), Arc::clone(&streams));
        Ok(Arc::new(CudaDevice {
            staging,
            streams,
            pinned: PinnedRanges::default(),
            padded: Mutex::default(),
            context,
        }))
    }

    /// The context, for streams and kernels of the program's own.
    #[must_use]
    pub fn context(&self) -> &Arc<CudaContext> {
        self.context.cudarc()
    }

    /// The card's own name, as [`Card::uuid`].
    ///
    /// # Errors
    /// The driver cannot be asked.
    pub fn uuid(&self) -> Result<String, DeviceError> {
        let uuid = result::device::get_uuid(self.context.device());
        uuid.map(|uuid| uuid_text(&uuid)).map_err(|error| refused("ask for the card's name", error))
    }

    /// The number of a stream of the program's, which is kept alive from now on. Refused while a graph is being captured
    /// on it (F5): what a graph does happens when it is launched, and an address is promised for now only.
    pub(crate) fn stream_id(&self, stream: &Arc<CudaStream>) -> Result<StreamId, DeviceError> {
        let action = "use a stream";
        if stream.context().cu_ctx() != self.context().cu_ctx() {
            return Err(DeviceError::new(action, "it belongs to another context than the manager's card"));
        }
        let capturing = self.context.bind().and_then(|_bound| {
            // SAFETY: V1. The stream is the caller's, and alive.
            unsafe { result::stream::is_capturing(stream.cu_stream()) }
        });
        match capturing.map_err(|error| refused(action, error))? {
            sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE => self.streams.number(stream),
            _ => Err(DeviceError::new(action, "a graph is being captured on it")),
        }
    }

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

    fn allocate_raw(&self, bytes: u64) -> Result<u64, DeviceError> {
        let action = || format!("allocate {bytes} bytes on the card");
        let length = usize::try_from(bytes).map_err(|error| DeviceError::new(action(), error))?;
        // SAFETY: V1.
        let made = self.context.bind().and_then(|_bound| unsafe { result::malloc_sync(length) });
        made.map_err(|error| refused(action(), error))
    }

    fn free_raw(&self, start: u64) -> Result<(), DeviceError> {
        // SAFETY: V1. It came from `allocate_raw`, and whoever had it gives it away.
        let freed = self.context.bind().and_then(|_bound| unsafe { result::free_sync(start) });
        freed.map_err(|error| refused("free memory of the card", error))
    }

    /// Waits for everything that comes in.
    fn finish_copies(&self) -> Result<(), DeviceError> {
        let finished = self.context.bind().and_then(|_bound| self.streams.finish_own(IN));
        finished.map_err(|error| refused("wait for copies to the card", error))
    }
}

/// A stream of our own as a set.
fn own(number: usize) -> StreamSet {
    StreamId::new(number).into()
}

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
        let start = self.allocate_raw(bytes.get())?;
        if start.is_multiple_of(REGION_ALIGN) {
            return Ok(Region { address: Address(start), bytes });
        }
        // Small allocations share a page of the driver's: one that is longer by a page has a page's start in it.
        self.free_raw(start)?;
        let start = self.allocate_raw(bytes.get().saturating_add(REGION_ALIGN))?;
        let aligned = start.next_multiple_of(REGION_ALIGN);
        self.padded.lock().insert(aligned, start);
        Ok(Region { address: Address(aligned), bytes })
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        let start = self.padded.lock().remove(&region.address.0);
        self.free_raw(start.unwrap_or(region.address.0))
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
        unsafe { self.staging.copy_out(to, from) }
    }

    unsafe fn copy_behind(
        &self,
        to: Address,
        from: Address,
        bytes: Bytes,
        after: StreamSet,
    ) -> Result<StreamSet, DeviceError> {
        self.order(after, StreamId::new(IN))?;
        let copied = self.context.bind().and_then(|_bound| {
            pieces(to, from, bytes).try_for_each(|(start, length)| {
                let (to, from) = (to.0 + start, from.0 + start);
                // SAFETY: V1 and the caller's promise; the pieces do not overlap themselves.
                unsafe { result::memcpy_dtod_async(to, from, length as usize, self.streams.own(IN)) }
            })
        });
        copied.map_err(|error| self.give_up(IN, error, "copy inside the card"))?;
        Ok(own(IN))
    }

    fn wait(&self, streams: StreamSet) -> Result<(), DeviceError> {
        self.streams.wait(streams)
    }

    fn order(&self, first: StreamSet, then: StreamId) -> Result<(), DeviceError> {
        self.streams.order(first, then)
    }

    fn cuda(&self) -> Option<&CudaDevice> {
        Some(self)
    }
}

/// A copy in pieces none of which overlaps itself, each after those whose target it would have been overwritten by: the
/// driver leaves a copy onto itself undefined. Where the ranges are apart, one piece; otherwise as many as the distance
/// goes into the length: a mover prefers far targets.
fn pieces(to: Address, from: Address, bytes: Bytes) -> impl Iterator<Item = (u64, u64)> {
    let (length, distance) = (bytes.get(), to.0.abs_diff(from.0));
    let piece = if distance == 0 { length } else { distance.min(length) };
    let count = if distance == 0 || length == 0 { 0 } else { length.div_ceil(piece) };
    let upwards = to.0 < from.0;
    (0..count).map(move |turn| {
        let at = piece * if upwards { turn } else { count - 1 - turn };
        (at, piece.min(length - at))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pieces carried out on ordinary bytes, each by a copy that must not overlap itself.
    fn moved(to: usize, from: usize, length: usize) -> Vec<u8> {
        let mut bytes: Vec<u8> = (0..100).collect();
        for (start, length) in pieces(Address(to as u64), Address(from as u64), Bytes(length as u64)) {
            let (start, length) = (start as usize, length as usize);
            assert!(to.abs_diff(from) >= length, "a piece overlaps itself");
            let piece = bytes[from + start..from + start + length].to_vec();
            bytes[to + start..to + start + length].copy_from_slice(&piece);
        }
        bytes[to..to + length].to_vec()
    }

    #[test]
    fn a_copy_onto_itself_arrives_whole_in_both_directions() {
        for (to, from, length) in
            [(0, 50, 50), (0, 7, 50), (7, 0, 50), (10, 13, 61), (13, 10, 61), (5, 5, 20), (0, 1, 0)]
        {
            let expected: Vec<u8> = (from as u8..(from + length) as u8).collect();
            assert_eq!(moved(to, from, length), expected, "{length} bytes from {from} to {to}");
        }
    }
}
