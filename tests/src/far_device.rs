//! The far device: memory that the host cannot follow, behind the same calls, with faults to order.
//!
//! It is the host device seen through addresses that no pointer has: a dereference by the host faults. It keeps watch over
//! the manager's promises to a device: every copy lies in one live region, and no two copies that run at the same time
//! touch the same bytes unless both only read. What breaks a promise is noted, and told by [`FarDevice::check`].
#![allow(unsafe_code, reason = "a device promises D1 of cuda/src/memory: it passes on the host device's promise")]

use freehold_cuda::{Address, Bytes, DeviceError, DeviceInfo, DeviceMemory, HostDevice, Region};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Mutex;

/// Far addresses are host addresses plus this: not canonical on any machine we know, so following one faults.
const FAR: u64 = 1 << 60;

/// The calls that can be refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// A new region.
    Allocate,
    /// A region given back.
    Free,
    /// Host to device.
    Upload,
    /// Device to host.
    Download,
    /// Inside the device.
    Copy,
}

/// What goes wrong with uploads, silently.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Uploads {
    /// Nothing.
    #[default]
    Right,
    /// They succeed and write nothing.
    Lost,
    /// They write the bytes of the upload before.
    Stale,
}

/// See the module's words.
#[derive(Debug)]
pub struct FarDevice {
    near: HostDevice,
    watch: Mutex<Watch>,
}

#[derive(Debug, Default)]
struct Watch {
    regions: BTreeMap<u64, u64>,
    /// Copies that run now: what they touch, and whether they write it.
    running: Vec<(Range<u64>, bool)>,
    refuse: Vec<(Call, u64)>,
    uploads: Uploads,
    before: Vec<u8>,
    broken: Vec<String>,
}

impl FarDevice {
    /// A device of `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: Bytes) -> Self {
        FarDevice { near: HostDevice::with_limit(limit), watch: Mutex::default() }
    }

    /// Refuses the next `times` calls of this kind.
    pub fn refuse(&self, call: Call, times: u64) {
        self.watch().refuse.push((call, times));
    }

    /// Refuses nothing any more.
    pub fn mend(&self) {
        let mut watch = self.watch();
        watch.refuse.clear();
        watch.uploads = Uploads::Right;
    }

    /// Lets uploads go wrong without a word.
    pub fn spoil(&self, uploads: Uploads) {
        self.watch().uploads = uploads;
    }

    /// Regions in the manager's hands.
    #[must_use]
    pub fn regions(&self) -> usize {
        self.watch().regions.len()
    }

    /// # Panics
    /// When the manager broke one of its promises to the device.
    pub fn check(&self) {
        let watch = self.watch();
        assert!(watch.broken.is_empty(), "promises to the device broken:\n{}", watch.broken.join("\n"));
    }

    fn watch(&self) -> std::sync::MutexGuard<'_, Watch> {
        self.watch.lock().expect("the watch never panics")
    }

    fn may(&self, call: Call) -> Result<(), DeviceError> {
        let mut watch = self.watch();
        let ordered = watch.refuse.iter_mut().find(|(refused, times)| *refused == call && *times > 0);
        ordered.map_or(Ok(()), |(_, times)| {
            *times -= 1;
            Err(DeviceError::new(format_args!("{call:?}"), "refused to order"))
        })
    }

    /// Runs a copy that touches these ranges, and notes what must not be.
    fn run<T>(&self, touched: &[(Range<u64>, bool)], copy: impl FnOnce() -> T) -> T {
        let touched: Vec<_> = touched.iter().filter(|(range, _)| !range.is_empty()).cloned().collect();
        self.watch().begin(&touched);
        let done = copy();
        self.watch().end(&touched);
        done
    }
}

impl Watch {
    fn begin(&mut self, touched: &[(Range<u64>, bool)]) {
        for (range, writes) in touched {
            let region = self.regions.range(..=range.start).next_back();
            if region.is_none_or(|(start, length)| range.end > start + length) {
                self.broken.push(format!("{range:x?} lies in no live region"));
            }
            let meets = |(other, others_writes): &&(Range<u64>, bool)| {
                (*writes || *others_writes) && other.start < range.end && range.start < other.end
            };
            if let Some(other) = self.running.iter().find(meets) {
                let told = format!("{range:x?} (writes: {writes}) while {other:x?} was at work");
                self.broken.push(told);
            }
        }
        self.running.extend_from_slice(touched);
    }

    fn end(&mut self, touched: &[(Range<u64>, bool)]) {
        for one in touched {
            let at = self.running.iter().position(|running| running == one).expect("it was begun");
            self.running.swap_remove(at);
        }
    }
}

fn near(address: Address) -> Address {
    Address(address.0 - FAR)
}

fn range(start: Address, length: u64) -> Range<u64> {
    start.0..start.0 + length
}

// SAFETY: D1. Regions are the host device's, under other numbers; the host is told not to follow them.
unsafe impl DeviceMemory for FarDevice {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        Ok(DeviceInfo { name: "far".into(), ..self.near.info()? })
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        self.may(Call::Allocate)?;
        let Region { address, bytes } = self.near.allocate(bytes)?;
        let region = Region { address: Address(address.0 + FAR), bytes };
        self.watch().regions.insert(region.address.0, bytes.get());
        Ok(region)
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        self.may(Call::Free)?;
        self.watch().regions.remove(&region.address.0);
        self.near.free(Region { address: near(region.address), bytes: region.bytes })
    }

    fn region_align(&self) -> Bytes {
        self.near.region_align()
    }

    fn host_addressable(&self) -> bool {
        false
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        self.may(Call::Upload)?;
        let before = std::mem::replace(&mut self.watch().before, from.to_vec());
        let uploads = self.watch().uploads;
        let bytes = match uploads {
            Uploads::Right => from,
            Uploads::Lost => return Ok(()),
            Uploads::Stale => &before[..before.len().min(from.len())],
        };
        // SAFETY: the caller's promise, passed on.
        self.run(&[(range(to, from.len() as u64), true)], || unsafe { self.near.upload(near(to), bytes) })
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        self.may(Call::Download)?;
        let touched = range(from, to.len() as u64);
        // SAFETY: the caller's promise, passed on.
        self.run(&[(touched, false)], || unsafe { self.near.download(to, near(from)) })
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        self.may(Call::Copy)?;
        let union = to.0.min(from.0)..to.0.max(from.0) + bytes.get();
        let overlap = to.0.abs_diff(from.0) < bytes.get();
        let touched = [(range(to, bytes.get()), true), (range(from, bytes.get()), false)];
        let touched = if overlap { &[(union, true)][..] } else { &touched[..] };
        // SAFETY: the caller's promise, passed on.
        self.run(touched, || unsafe { self.near.copy(near(to), near(from), bytes) })
    }
}
