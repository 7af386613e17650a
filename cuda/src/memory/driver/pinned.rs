//! Pinned bytes on a card: once they are registered, the card copies from them by itself, with no staging and without the
//! host waiting (F3).
#![allow(unsafe_code, reason = "registering memory with the driver: P1")]
// P1  Between registration and its end the pages stay where they are: `PinnedBytes` drops what it keeps before its pages,
//     and whenever it is about to give them out for writing. The end waits for every copy from them, so a copy that was
//     enqueued finds them whole and unchanged whenever it runs.

use super::CudaDevice;
use super::library::refused;
use crate::memory::{DeviceError, DeviceMemory};
use crate::source::PinnedBytes;
use crate::stream::StreamSet;
use cudarc::driver::sys;
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Pages that the driver knows; until it is dropped.
struct Registration {
    device: Arc<CudaDevice>,
    start: usize,
}

impl CudaDevice {
    /// Makes `bytes` known to the driver: the card then copies from them at its own speed, and an upload from them is
    /// enqueued and not waited for. Once is enough; bytes that are known already stay so.
    ///
    /// # Errors
    /// The driver has no more pinned memory; the bytes are then as usable as before, through staging.
    pub fn register(self: &Arc<Self>, bytes: &PinnedBytes) -> Result<(), DeviceError> {
        if bytes.as_slice().is_empty() {
            return Ok(());
        }
        bytes.keep_registered(|bytes| {
            let start = bytes.as_ptr().cast_mut();
            let registered = self.context.bind_relaxed().and_then(|_bound| {
                // SAFETY: P1. Live pages of their own, of this length.
                unsafe { sys::cuMemHostRegister_v2(start.cast(), bytes.len(), 0) }.result()
            });
            registered.map_err(|error| refused(format_args!("pin {} bytes", bytes.len()), error))?;
            self.pinned.note(start.addr(), bytes.len());
            Ok(Registration { device: Arc::clone(self), start: start.addr() })
        })
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        let readers = self.device.pinned.forget(self.start);
        // Where no fence could be recorded, the whole stream is waited for: only copies that come in read from here.
        let through = self.device.wait(readers).or_else(|_| self.device.finish_copies());
        let ended = through.and_then(|()| {
            let ended = self.device.context.bind_relaxed().and_then(|_bound| {
                // SAFETY: P1. The pages are still there, and every copy from them is over.
                unsafe { sys::cuMemHostUnregister(std::ptr::without_provenance_mut(self.start)) }.result()
            });
            ended.map_err(|error| refused("let pinned bytes go", error))
        });
        if let Err(error) = ended {
            tracing::error!(%error, "pinned bytes stay known to the driver");
        }
    }
}

/// Where the registered bytes of one device are, and who still copies from them.
#[derive(Debug, Default)]
pub(super) struct PinnedRanges(RwLock<BTreeMap<usize, (usize, AtomicU64)>>);

impl PinnedRanges {
    fn note(&self, start: usize, length: usize) {
        self.0.write().insert(start, (length, AtomicU64::new(0)));
    }

    /// Takes a range out, and says which streams copy from it.
    fn forget(&self, start: usize) -> StreamSet {
        let range = self.0.write().remove(&start);
        range.map_or(StreamSet::EMPTY, |(_, readers)| StreamSet::from_bits(readers.into_inner()))
    }

    /// Whether `bytes` lie in registered bytes of ours; if so, `readers` are noted there. The bytes are borrowed meanwhile,
    /// so their owner is alive, and notes made now are seen by the registration's end. (Relaxed: what ends the borrow
    /// orders it.)
    pub(super) fn note_readers(&self, bytes: &[u8], readers: StreamSet) -> bool {
        let (start, ranges) = (bytes.as_ptr().addr(), self.0.read());
        let range = ranges.range(..=start).next_back();
        let range = range.filter(|&(&at, &(length, _))| start + bytes.len() <= at + length);
        range.map(|(_, (_, noted))| noted.fetch_or(readers.to_bits(), Relaxed)).is_some()
    }
}
