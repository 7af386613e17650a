//! The hooked device: ordinary memory that calls the test back in the middle of a call, so that a test can stop a thread
//! there, give the core away, or let the device's code panic.
#![allow(unsafe_code, reason = "a device promises D1 of cuda/src/memory: it passes on the host device's promise")]

use crate::far_device::Call;
use freehold_cuda::{Address, Bytes, DeviceError, DeviceInfo, DeviceMemory, HostDevice, Region};
use std::fmt;

/// See the module's words.
pub struct HookedDevice {
    host: HostDevice,
    hook: Box<dyn Fn(Call, Address) + Send + Sync>,
}

impl HookedDevice {
    /// Calls `hook` in each call, when its work is done and before it returns, with the device address that it is about: of
    /// what is read, or else of what is written. (Before a region is given back: afterwards
    /// it is nobody's.)
    pub fn new(hook: impl Fn(Call, Address) + Send + Sync + 'static) -> Self {
        HookedDevice { host: HostDevice::new(), hook: Box::new(hook) }
    }
}

impl fmt::Debug for HookedDevice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HookedDevice").field("host", &self.host).finish_non_exhaustive()
    }
}

// SAFETY: D1. Regions are the host device's own.
unsafe impl DeviceMemory for HookedDevice {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        self.host.info()
    }

    fn region_align(&self) -> Bytes {
        self.host.region_align()
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        let region = self.host.allocate(bytes);
        let at = region.as_ref().map_or(Address(0), |region| region.address);
        (self.hook)(Call::Allocate, at);
        region
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        (self.hook)(Call::Free, region.address);
        self.host.free(region)
    }

    fn host_addressable(&self) -> bool {
        true
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        let done = unsafe { self.host.upload(to, from) };
        (self.hook)(Call::Upload, to);
        done
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        let done = unsafe { self.host.download(to, from) };
        (self.hook)(Call::Download, from);
        done
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        // SAFETY: the caller's promise, passed on.
        let done = unsafe { self.host.copy(to, from, bytes) };
        (self.hook)(Call::Copy, to);
        done
    }
}
