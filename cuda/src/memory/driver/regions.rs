//! Regions of a card's memory: plain allocations, each beginning at a page.
#![allow(unsafe_code, reason = "driver calls: V1")]

use super::context::Context;
use super::library::refused;
use crate::memory::{Address, DeviceError, Region};
use cudarc::driver::result;
use freehold_core::Bytes;
use parking_lot::Mutex;
use std::collections::BTreeMap;

/// Where regions begin: at pages of a card's memory. The driver promises 256 bytes, and gives large allocations a page.
pub(super) const REGION_ALIGN: u64 = 2 << 20;

/// The regions of one card that do not begin where their allocation does: for each its allocation's start. Taken when a
/// region comes or goes.
#[derive(Debug, Default)]
pub(super) struct Regions(Mutex<BTreeMap<u64, u64>>);

impl Regions {
    pub(super) fn allocate(&self, context: &Context, bytes: Bytes) -> Result<Region, DeviceError> {
        let start = allocate(context, bytes.get())?;
        if start.is_multiple_of(REGION_ALIGN) {
            return Ok(Region { address: Address(start), bytes });
        }
        // Small allocations share a page of the driver's: one that is longer by a page has a page's start in it.
        free(context, start)?;
        let start = allocate(context, bytes.get().saturating_add(REGION_ALIGN))?;
        let aligned = start.next_multiple_of(REGION_ALIGN);
        self.0.lock().insert(aligned, start);
        Ok(Region { address: Address(aligned), bytes })
    }

    pub(super) fn free(&self, context: &Context, region: Region) -> Result<(), DeviceError> {
        let start = self.0.lock().remove(&region.address.0);
        free(context, start.unwrap_or(region.address.0))
    }
}

fn allocate(context: &Context, bytes: u64) -> Result<u64, DeviceError> {
    let action = || format!("allocate {bytes} bytes on the card");
    let length = usize::try_from(bytes).map_err(|error| DeviceError::new(action(), error))?;
    // SAFETY: V1.
    let made = context.bind_relaxed().and_then(|_bound| unsafe { result::malloc_sync(length) });
    made.map_err(|error| refused(action(), error))
}

fn free(context: &Context, start: u64) -> Result<(), DeviceError> {
    // SAFETY: V1. It came from `allocate`, and whoever had it gives it away.
    let freed = context.bind_relaxed().and_then(|_bound| unsafe { result::free_sync(start) });
    freed.map_err(|error| refused("free memory of the card", error))
}
