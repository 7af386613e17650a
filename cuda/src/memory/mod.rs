//! The few calls that the manager needs of a device, and the promise that comes with them.
//!
//! Everything above this line knows arenas and offsets; everything below knows one kind of memory. The host device
//! ([`HostDevice`]) is ordinary memory; the same manager runs on both.

#[cfg(feature = "cuda")]
pub mod driver;
mod host;

pub use host::HostDevice;
pub(crate) use host::pointer as host_pointer;

use crate::source::PinnedBytes;
use crate::stream::{StreamId, StreamSet};
use freehold_core::Bytes;
use std::fmt::{self, Debug};
use std::sync::Arc;

/// A place in a device's own address space. Not a pointer: the host may not be able to follow it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(pub u64);

impl Address {
    /// The place `bytes` further on.
    #[must_use]
    pub fn plus(self, bytes: u64) -> Address {
        Address(self.0 + bytes)
    }
}

/// Device memory handed out by [`DeviceMemory::allocate`], one arena's worth. Given back by [`DeviceMemory::free`].
#[derive(Debug, PartialEq, Eq)]
pub struct Region {
    /// Where it begins; aligned to the device's `region_align`.
    pub address: Address,
    /// How long it is.
    pub bytes: Bytes,
}

/// What a device says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// `host`, or the driver's name of the card.
    pub name: String,
    /// All the memory it has.
    pub total: Bytes,
    /// What is free of it now.
    pub free: Bytes,
}

/// What a device refused, and what it was doing. Driver codes become text at once, while the driver is there to ask.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the device could not {action}: {reason}")]
pub struct DeviceError {
    /// What was attempted, as a verb with its numbers.
    pub action: Arc<str>,
    /// What the device or its driver said.
    pub reason: Arc<str>,
}

impl DeviceError {
    /// A device error out of the attempt and what was said of it.
    pub fn new(action: impl fmt::Display, reason: impl fmt::Display) -> Self {
        DeviceError { action: action.to_string().into(), reason: reason.to_string().into() }
    }
}

/// Memory of one device, in large regions, and copies into, out of and inside it.
///
/// # Safety
/// An implementor promises D1: a region returned by `allocate` is memory of its own, `bytes` long, aligned to
/// `region_align`, initialised, and stays so until it is given to `free`; and where `host_addressable` is true, its
/// addresses are pointers the host may read and write.
#[allow(unsafe_code, reason = "the trait's promise D1 is what arena.rs builds its raw accesses on")]
pub unsafe trait DeviceMemory: Send + Sync + Debug {
    /// What the device is, and how much of it is free now.
    ///
    /// # Errors
    /// What the driver says when it cannot be asked.
    fn info(&self) -> Result<DeviceInfo, DeviceError>;

    /// What every region's address is a multiple of: 512 bytes, where nothing else is said.
    fn region_align(&self) -> Bytes {
        Bytes(512)
    }

    /// A new region.
    ///
    /// # Errors
    /// The device has no room, whatever the books above say.
    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError>;

    /// Gives a region back.
    ///
    /// # Errors
    /// The device refuses; the region is then lost to it.
    fn free(&self, region: Region) -> Result<(), DeviceError>;

    /// Whether the host may follow this device's addresses as pointers.
    fn host_addressable(&self) -> bool;

    /// Copies host bytes to the device; complete on return.
    ///
    /// # Safety
    /// `to` and the `from.len()` bytes behind it lie in one live region of this device, and nobody else reads or
    /// writes them during the call.
    ///
    /// # Errors
    /// The copy failed; the target's content is then undefined, but initialised.
    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError>;

    /// Copies device bytes to the host; complete on return.
    ///
    /// # Safety
    /// `from` and the `to.len()` bytes behind it lie in one live region of this device, and nobody writes them during
    /// the call.
    ///
    /// # Errors
    /// The copy failed; the target's content is then undefined, but initialised.
    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError>;

    /// Copies inside the device; complete on return. The two ranges may overlap: the target then holds what the
    /// source held before.
    ///
    /// # Safety
    /// Both ranges lie in live regions of this device, and nobody else reads or writes either during the call.
    ///
    /// # Errors
    /// The copy failed; the target's content is then undefined, but initialised.
    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError>;

    /// As [`upload`](Self::upload), but ordered behind what `after` was given so far, and perhaps not complete on return:
    /// whoever touches the bytes next has to be behind the streams that are returned. A device without streams waits.
    ///
    /// # Safety
    /// As there; others may have given the streams of `after` work on these bytes before, and from then on nobody
    /// touches them who is not behind the returned streams. `from` may change as soon as the call has returned.
    ///
    /// # Errors
    /// As there; nothing that the call began is then still under way, unless the device is lost.
    unsafe fn upload_behind(&self, to: Address, from: &[u8], after: StreamSet) -> Result<StreamSet, DeviceError> {
        self.wait(after)?;
        // SAFETY: the caller's promise, passed on; those before us are through.
        unsafe { self.upload(to, from) }?;
        Ok(StreamSet::EMPTY)
    }

    /// As [`download`](Self::download), and complete on return, but ordered behind what `after` was given so far.
    ///
    /// # Safety
    /// As there; the streams of `after` may have been given writes of these bytes before.
    ///
    /// # Errors
    /// As there.
    unsafe fn download_behind(&self, to: &mut [u8], from: Address, after: StreamSet) -> Result<(), DeviceError> {
        self.wait(after)?;
        // SAFETY: the caller's promise, passed on; those before us are through.
        unsafe { self.download(to, from) }
    }

    /// As [`copy`](Self::copy), with the order of [`upload_behind`](Self::upload_behind).
    ///
    /// # Safety
    /// As there, for both ranges.
    ///
    /// # Errors
    /// As there.
    unsafe fn copy_behind(
        &self,
        to: Address,
        from: Address,
        bytes: Bytes,
        after: StreamSet,
    ) -> Result<StreamSet, DeviceError> {
        self.wait(after)?;
        // SAFETY: the caller's promise, passed on; those before us are through.
        unsafe { self.copy(to, from, bytes) }?;
        Ok(StreamSet::EMPTY)
    }

    /// The host waits until these streams are through with what they were given so far.
    ///
    /// # Errors
    /// The device cannot tell, or reports what went wrong on a stream before.
    fn wait(&self, streams: StreamSet) -> Result<(), DeviceError> {
        debug_assert!(streams.is_empty(), "a device without streams was asked to wait for {streams:?}");
        Ok(())
    }

    /// What `then` is given from now on runs after what the streams of `first` were given so far. The host does not
    /// wait.
    ///
    /// # Errors
    /// The device cannot order them.
    fn order(&self, first: StreamSet, then: StreamId) -> Result<(), DeviceError> {
        debug_assert!(first.is_empty(), "a device without streams was asked to put {then:?} behind {first:?}");
        Ok(())
    }

    /// Makes `bytes` known to the device, so that it can copy from them by itself: see `CudaDevice::register`. A device without
    /// a driver has nothing to know.
    ///
    /// # Errors
    /// The driver has no more pinned memory; the bytes are then as usable as before.
    fn register_pinned(self: Arc<Self>, bytes: &PinnedBytes) -> Result<(), DeviceError> {
        let _ = bytes;
        Ok(())
    }

    /// The card behind this device, where it is one: what `access_on` and its like need of it.
    #[cfg(feature = "cuda")]
    fn cuda(&self) -> Option<&driver::CudaDevice> {
        None
    }
}
