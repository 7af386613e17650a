//! The host device: ordinary memory behind the device calls, so that the manager runs where there is no card.
//!
//! Its copy engine is the calling thread. A region is an anonymous map: zero pages that cost nothing until they are
//! first touched, and that go back to the system when the region is freed.
#![allow(unsafe_code, reason = "the copies work on raw addresses: H1 below")]
// H1  An address inside a live region points into a map that `regions` keeps until `free`: whoever calls a copy promises
//     that its range lies in a live region (the copies' safety contract), so the range is mapped, and initialised.

use super::{Address, DeviceError, DeviceInfo, DeviceMemory, Region};
use freehold_core::Bytes;
use memmap2::MmapMut;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Where regions begin: as coarse as a card's allocations, so that an alignment asked of an arena means the same here.
const REGION_ALIGN: u64 = 2 << 20;

/// Ordinary memory as a device. Two of them are two devices with books of their own.
#[derive(Debug)]
pub struct HostDevice {
    limit: Bytes,
    // Taken at arena creation and return only, never on an access or an allocation inside an arena.
    regions: Mutex<BTreeMap<Address, MmapMut>>,
}

impl HostDevice {
    /// A device as large as this machine's memory, or unlimited where that cannot be read.
    #[must_use]
    pub fn new() -> Self {
        HostDevice::with_limit(Bytes(system_memory().map_or(u64::MAX, |(total, _)| total)))
    }

    /// A device of `limit` bytes: more than that in sum is refused, as a full card would.
    #[must_use]
    pub fn with_limit(limit: Bytes) -> Self {
        HostDevice { limit, regions: Mutex::new(BTreeMap::new()) }
    }
}

impl Default for HostDevice {
    fn default() -> Self {
        HostDevice::new()
    }
}

// SAFETY: D1. A fresh anonymous map is zeroed memory of its own; its start is rounded up to REGION_ALIGN inside a map
// that is longer by as much; `regions` keeps it until `free`; its addresses are pointers of this process.
unsafe impl DeviceMemory for HostDevice {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        let free = self.limit.get().saturating_sub(taken(&self.regions.lock()));
        let free = system_memory().map_or(free, |(_, available)| free.min(available));
        Ok(DeviceInfo { name: "host".into(), total: self.limit, free: Bytes(free) })
    }

    fn region_align(&self) -> Bytes {
        Bytes(REGION_ALIGN)
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        let refuse = |reason: String| DeviceError::new(format_args!("allocate {bytes}"), reason);
        let mut regions = self.regions.lock();
        let free = self.limit.get().saturating_sub(taken(&regions));
        if bytes.get() > free || bytes == Bytes::ZERO {
            return Err(refuse(format!("{free} of its {} are free", self.limit)));
        }
        let length =
            usize::try_from(bytes.get().saturating_add(REGION_ALIGN)).map_err(|error| refuse(error.to_string()))?;
        let mut map = MmapMut::map_anon(length).map_err(|error| refuse(error.to_string()))?;
        let start = map.as_mut_ptr().expose_provenance() as u64;
        let address = Address(start.next_multiple_of(REGION_ALIGN));
        regions.insert(address, map);
        Ok(Region { address, bytes })
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        let map = self.regions.lock().remove(&region.address);
        map.map(drop).ok_or_else(|| DeviceError::new(format_args!("free {region:?}"), "no such region"))
    }

    fn host_addressable(&self) -> bool {
        true
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        // SAFETY: H1 for the target, which the caller alone touches; `from` is a borrowed slice.
        unsafe { std::ptr::copy(from.as_ptr(), pointer(to), from.len()) };
        Ok(())
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        // SAFETY: H1 for the source, which nobody writes; `to` is a unique slice.
        unsafe { std::ptr::copy(pointer(from).cast_const(), to.as_mut_ptr(), to.len()) };
        Ok(())
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        // SAFETY: H1 for both ranges; `ptr::copy` allows them to overlap.
        unsafe { std::ptr::copy(pointer(from).cast_const(), pointer(to), bytes.get() as usize) };
        Ok(())
    }
}

/// An address of a host region as the pointer whose provenance `allocate` exposed.
pub(crate) fn pointer(address: Address) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address.0 as usize)
}

/// Bytes of all regions, the alignment's slack left out: it is never touched.
fn taken(regions: &BTreeMap<Address, MmapMut>) -> u64 {
    regions.values().map(|map| map.len() as u64 - REGION_ALIGN).sum()
}

/// This machine's memory, total and available, where `/proc/meminfo` tells.
fn system_memory() -> Option<(u64, u64)> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib * 1024)
    };
    Some((field("MemTotal:")?, field("MemAvailable:")?))
}
