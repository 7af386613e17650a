//! Pinned bytes: content that the card copies by itself, with no staging and without the host waiting.
#![allow(unsafe_code, reason = "pinned memory: P1, P2")]
// P1  `start` points to `length` bytes of pinned memory of our own, initialised, live until the last `PinnedBytes` drops.
// P2  After `new` nobody writes them; and they are freed only after the streams in `readers` are through, so a copy that
//     was enqueued from them finds them whole whenever it runs.

use super::CudaDevice;
use super::library::refused;
use crate::error::SourceError;
use crate::memory::{DeviceError, DeviceMemory};
use crate::source::{Sink, Source};
use crate::stream::StreamSet;
use cudarc::driver::result;
use freehold_core::Bytes;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Immutable bytes in pinned host memory: a backing source whose bytes reach the card at its own speed (C13, F3). Clones
/// are the same bytes.
#[derive(Clone)]
pub struct PinnedBytes(Arc<Pinned>);

struct Pinned {
    device: Arc<CudaDevice>,
    start: *mut u8,
    length: usize,
}

// SAFETY: P1, P2. Memory of its own that nobody writes.
unsafe impl Send for Pinned {}
// SAFETY: as above.
unsafe impl Sync for Pinned {}

impl PinnedBytes {
    /// Pinned memory of `bytes`, filled once by `fill`, which is given zeros.
    ///
    /// # Errors
    /// The driver has no pinned memory left, or `bytes` is 0.
    pub fn new(device: &Arc<CudaDevice>, bytes: Bytes, fill: impl FnOnce(&mut [u8])) -> Result<Self, DeviceError> {
        let action = || format!("pin {bytes} of host memory");
        let length = usize::try_from(bytes.get()).map_err(|error| DeviceError::new(action(), error))?;
        // SAFETY: the driver gives memory of its own, or an error. Flags 0: not write-combined, the host may read it.
        let made = device.context.bind().and_then(|_bound| unsafe { result::malloc_host(length, 0) });
        let start = made.map_err(|error| refused(action(), error))?.cast::<u8>();
        // SAFETY: P1. Fresh memory of this length; zeroed, so that it is initialised.
        unsafe { start.write_bytes(0, length) };
        let pinned = Pinned { device: Arc::clone(device), start, length };
        // SAFETY: P1; nobody else knows it yet.
        fill(unsafe { std::slice::from_raw_parts_mut(start, length) });
        device.pinned.note(start, length);
        Ok(PinnedBytes(Arc::new(pinned)))
    }

    /// The bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        // SAFETY: P1, P2.
        unsafe { std::slice::from_raw_parts(self.0.start, self.0.length) }
    }
}

impl Source for PinnedBytes {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        sink.write(self.as_slice())
    }
}

impl fmt::Debug for PinnedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PinnedBytes").field("length", &self.0.length).finish_non_exhaustive()
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        let readers = self.device.pinned.forget(self.start);
        // Where no fence could be recorded, the whole stream is waited for: only copies that come in read from here.
        let through = self.device.wait(readers).or_else(|_| self.device.finish_copies());
        let freed = through.and_then(|()| {
            // SAFETY: P1, P2. The last owner is gone and every copy from here is over.
            let freed = self.device.context.bind().and_then(|_bound| unsafe { result::free_host(self.start.cast()) });
            freed.map_err(|error| refused("free pinned memory", error))
        });
        if let Err(error) = freed {
            tracing::error!(%error, bytes = self.length, "pinned memory could not be given back");
        }
    }
}

/// Where the pinned bytes of one device are, and who still copies from them.
#[derive(Debug, Default)]
pub(super) struct PinnedRanges(RwLock<BTreeMap<usize, (usize, AtomicU64)>>);

impl PinnedRanges {
    fn note(&self, start: *mut u8, length: usize) {
        self.0.write().insert(start.addr(), (length, AtomicU64::new(0)));
    }

    /// Takes a range out, and says which streams copy from it.
    fn forget(&self, start: *mut u8) -> StreamSet {
        let range = self.0.write().remove(&start.addr());
        range.map_or(StreamSet::EMPTY, |(_, readers)| StreamSet::from_bits(readers.into_inner()))
    }

    /// Whether `bytes` lie in pinned bytes of ours; if so, `readers` are noted there. The bytes are borrowed meanwhile, so
    /// their owner is alive, and notes made now are seen by his drop. (Relaxed: what ends the borrow orders it.)
    pub(super) fn note_readers(&self, bytes: &[u8], readers: StreamSet) -> bool {
        let (start, ranges) = (bytes.as_ptr().addr(), self.0.read());
        let range = ranges.range(..=start).next_back();
        let range = range.filter(|&(&at, &(length, _))| start + bytes.len() <= at + length);
        range.map(|(_, (_, noted))| noted.fetch_or(readers.to_bits(), Relaxed)).is_some()
    }
}
