//! Who owns which bytes: device regions in a number space of their own, pinned host memory, and nothing else.
//!
//! Device addresses are numbers that no processor follows: bits 56 and up are neither all zero nor all one, so a host
//! dereference faults at once. Fresh memory is poisoned, and an address is never given out twice: whatever touches freed
//! memory is told apart from whatever touches its successor.
#![allow(unsafe_code, reason = "bytes are reached through raw pointers into maps that this file owns: M1")]
// M1  A pointer from `device` or `host` points to `len` bytes inside a map that `regions` or `pinned` holds, or that the
//     caller of a driver call vouched for; the world's mutex is held while it is used.

use memmap2::MmapMut;
use std::collections::BTreeMap;
use std::ops::Range;

/// What fresh device memory holds: as a float it is huge and negative, as an index it is out of every range.
pub(crate) const POISON: u8 = 0xCB;

/// Where device addresses begin. Non-canonical on x86-64, as on every machine with fewer than 57 address bits.
const DEVICE_SPACE: u64 = 0x0A00_0000_0000_0000;

/// Large regions begin at multiples of this, and at least as much lies unmapped between two of them.
const REGION_ALIGN: u64 = 2 << 20;

/// Below this an allocation is small.
const SMALL: u64 = 1 << 20;

#[derive(Debug)]
pub(crate) struct Memory {
    regions: BTreeMap<u64, Region>,
    /// Length, and the map where the memory is the driver's own and not the program's.
    pinned: BTreeMap<u64, (u64, Option<MmapMut>)>,
    /// Where freed regions were, for the report.
    freed: Vec<(Range<u64>, u64)>,
    next_address: u64,
    next_number: u64,
}

#[derive(Debug)]
struct Region {
    number: u64,
    device: usize,
    bytes: u64,
    /// A stream has been told to free it: for whoever asks from now on it is gone, for what was queued before it is there.
    leaving: bool,
    map: MmapMut,
}

/// Why an address range cannot be touched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// No region was ever there.
    Nowhere,
    /// The region of this number was there.
    Freed(u64),
    /// It begins in the region of this number and ends behind it.
    PastEnd(u64),
}

impl Memory {
    pub(crate) fn new() -> Self {
        Memory {
            regions: BTreeMap::new(),
            pinned: BTreeMap::new(),
            freed: Vec::new(),
            next_address: DEVICE_SPACE,
            next_number: 1,
        }
    }

    /// Everything is gone; addresses go on where they were, so that none is ever given out twice.
    pub(crate) fn clear(&mut self) {
        self.regions.clear();
        self.pinned.clear();
        self.freed.clear();
        self.next_number = 1;
    }

    pub(crate) fn allocate(&mut self, device: usize, bytes: u64) -> Option<u64> {
        let mut map = MmapMut::map_anon(usize::try_from(bytes).ok()?).ok()?;
        map.fill(POISON);
        // As on a card: what is small begins anywhere in a page.
        let address = self.next_address + if bytes < SMALL { 512 } else { 0 };
        self.next_address += bytes.next_multiple_of(REGION_ALIGN) + 2 * REGION_ALIGN;
        self.regions.insert(address, Region { number: self.next_number, device, bytes, leaving: false, map });
        self.next_number += 1;
        Some(address)
    }

    /// Unmaps the region that begins at `address`, and says where it was.
    pub(crate) fn free(&mut self, address: u64) -> Result<Range<u64>, Fault> {
        let range = self.leave(address)?;
        self.unmap(address);
        Ok(range)
    }

    /// The first half of a free that a stream is to do: nobody may ask for these bytes any more.
    pub(crate) fn leave(&mut self, address: u64) -> Result<Range<u64>, Fault> {
        let Some(region) = self.regions.get_mut(&address).filter(|region| !region.leaving) else {
            return Err(self.fault(address));
        };
        region.leaving = true;
        let range = address..address + region.bytes;
        self.freed.push((range.clone(), region.number));
        Ok(range)
    }

    /// The second half: what was queued before has run.
    pub(crate) fn unmap(&mut self, address: u64) {
        self.regions.remove(&address);
    }

    /// The range of the live region that begins at `address`.
    pub(crate) fn region_at(&self, address: u64) -> Option<Range<u64>> {
        self.regions.get(&address).filter(|region| !region.leaving).map(|region| address..address + region.bytes)
    }

    pub(crate) fn used(&self, device: usize) -> u64 {
        let live = self.regions.values().filter(|region| region.device == device && !region.leaving);
        live.map(|region| region.bytes).sum()
    }

    pub(crate) fn live_regions(&self) -> (usize, usize) {
        (self.regions.values().filter(|region| !region.leaving).count(), self.pinned.len())
    }

    /// Whether all of `len` bytes at `address` lie in one live region.
    pub(crate) fn check(&self, address: u64, len: u64) -> Result<(), Fault> {
        let (start, region) = self.regions.range(..=address).next_back().ok_or_else(|| self.fault(address))?;
        if address >= start + region.bytes || region.leaving {
            return Err(self.fault(address));
        }
        if address + len > start + region.bytes { Err(Fault::PastEnd(region.number)) } else { Ok(()) }
    }

    fn fault(&self, address: u64) -> Fault {
        let freed = self.freed.iter().rev().find(|(range, _)| range.contains(&address));
        freed.map_or(Fault::Nowhere, |&(_, number)| Fault::Freed(number))
    }

    /// Where a device address stands in a report: the region's number and the distance from its start.
    pub(crate) fn name(&self, address: u64) -> String {
        let live =
            self.regions.range(..=address).next_back().filter(|(start, r)| address < **start + r.bytes && !r.leaving);
        match live {
            Some((start, region)) => format!("allocation {}+{:#x}", region.number, address - start),
            None => format!("{address:#x}"),
        }
    }

    /// The bytes behind a checked device range.
    pub(crate) fn device(&self, address: u64) -> *mut u8 {
        let (start, region) = self.regions.range(..=address).next_back().expect("checked when it was enqueued");
        region.map.as_ptr().wrapping_add((address - start) as usize).cast_mut()
    }

    pub(crate) fn allocate_pinned(&mut self, bytes: u64) -> Option<u64> {
        let mut map = MmapMut::map_anon(usize::try_from(bytes).ok()?).ok()?;
        map.fill(POISON);
        let address = map.as_ptr().expose_provenance() as u64;
        self.pinned.insert(address, (bytes, Some(map)));
        Some(address)
    }

    /// Notes memory of the program's own as pinned, unless some of it is already.
    pub(crate) fn register(&mut self, address: u64, bytes: u64) -> bool {
        let below = self.pinned.range(..address + bytes).next_back();
        let apart = below.is_none_or(|(start, (length, _))| start + length <= address);
        if apart {
            self.pinned.insert(address, (bytes, None));
        }
        apart
    }

    /// The pinned range that begins at `address`.
    pub(crate) fn pinned_at(&self, address: u64) -> Option<Range<u64>> {
        self.pinned.get(&address).map(|(length, _)| address..address + length)
    }

    pub(crate) fn free_pinned(&mut self, address: u64) {
        self.pinned.remove(&address);
    }

    /// Whether all of a host range is pinned.
    pub(crate) fn is_pinned(&self, address: u64, len: u64) -> bool {
        let region = self.pinned.range(..=address).next_back();
        region.is_some_and(|(start, (length, _))| address + len <= start + length)
    }
}

/// A host address that a driver call was given.
pub(crate) fn host(address: u64) -> *mut u8 {
    std::ptr::with_exposed_provenance_mut(address as usize)
}

/// Copies `len` bytes; the ranges may overlap.
pub(crate) fn copy(to: *mut u8, from: *const u8, len: u64) {
    // SAFETY: M1. Both sides were checked, or vouched for, when the work was enqueued, and freeing waits for it.
    unsafe { std::ptr::copy(from, to, len as usize) };
}

/// Sets `len` bytes.
pub(crate) fn fill(to: *mut u8, byte: u8, len: u64) {
    // SAFETY: M1, as in `copy`.
    unsafe { std::ptr::write_bytes(to, byte, len as usize) };
}

/// A copy of `len` bytes as they are now.
pub(crate) fn snapshot(from: *const u8, len: u64) -> Box<[u8]> {
    let mut bytes = vec![0; len as usize].into_boxed_slice();
    copy(bytes.as_mut_ptr(), from, len);
    bytes
}

/// A number that changes when the bytes do. Taken of a copy, a block at a time, because the program may write meanwhile;
/// in four lanes, because most of what this driver does is to look at pinned bytes twice.
pub(crate) fn fingerprint(from: *const u8, len: u64) -> u64 {
    const BLOCK: u64 = 4096;
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut lanes = [len, 1, 2, 3];
    for start in (0..len).step_by(BLOCK as usize) {
        let mut block = [0_u8; BLOCK as usize];
        copy(block.as_mut_ptr(), from.wrapping_add(start as usize), BLOCK.min(len - start));
        for words in block.as_chunks::<8>().0.as_chunks::<4>().0 {
            for (lane, word) in lanes.iter_mut().zip(words) {
                *lane = (*lane ^ u64::from_le_bytes(*word)).wrapping_mul(MIX).rotate_left(29);
            }
        }
    }
    lanes.into_iter().fold(0, |sum, lane| (sum ^ lane).wrapping_mul(MIX).rotate_left(31))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_tells_every_single_byte_and_the_length() {
        let mut bytes: Vec<u8> = (0..9001_u32).map(|at| at as u8).collect();
        let before = fingerprint(bytes.as_ptr(), 9001);
        assert_ne!(before, fingerprint(bytes.as_ptr(), 9000));
        for at in [0, 7, 8, 31, 32, 4095, 4096, 8999, 9000] {
            bytes[at] ^= 1;
            assert_ne!(before, fingerprint(bytes.as_ptr(), 9001), "byte {at}");
            bytes[at] ^= 1;
        }
        assert_eq!(before, fingerprint(bytes.as_ptr(), 9001));
    }
}
