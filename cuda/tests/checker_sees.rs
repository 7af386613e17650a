//! Claim: a replay's checker sees what it is there to see. Devices and callers that break their promise are planted
//! under the very code that the command runs, and each must show as a mismatch.
//! Not covered: a wrong byte between two stamps of a large block, which no fault planted here leaves alone.
#![allow(unsafe_code, reason = "DeviceMemory is an unsafe trait, and a device that lies must implement it")]
#![allow(dead_code, reason = "the command's own modules are compiled in, and a test needs a part of them")]

#[path = "../src/bin/freehold/args/mod.rs"]
mod args;
#[path = "../src/bin/freehold/device.rs"]
mod device;
#[path = "../src/bin/freehold/failure.rs"]
mod failure;
#[path = "../src/bin/freehold/replay/mod.rs"]
mod replay;
#[path = "../src/bin/freehold/report/mod.rs"]
mod report;
#[path = "../src/bin/freehold/trace/mod.rs"]
mod trace;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use clap::Parser;
use freehold_core::{Block, Buddy, Bytes, Geometry, Request};
use freehold_cuda::{Address, DeviceError, DeviceInfo, DeviceMemory, HostDevice, Region};
use indicatif::ProgressBar;
use parking_lot::Mutex;

use args::{Command, CommandLine};
use replay::contents::{Contents, Sight, block_spans};

/// How a device breaks its promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// It does not.
    None,
    /// Both halves of a region are the same memory: what lies in one overlaps what lies in the other.
    Overlap,
    /// Now and then it uploads once more what it uploaded before, as a staging buffer does that was used again too soon.
    StaleUpload,
    /// Now and then it says that it has written, and has not.
    LostWrite,
}

/// Ordinary memory that the host may not look at directly, so that every byte passes through the calls below.
#[derive(Debug)]
struct Liar {
    honest: HostDevice,
    fault: Fault,
    regions: Mutex<BTreeMap<Address, Bytes>>,
    uploads: AtomicU64,
    before: Mutex<Vec<u8>>,
}

impl Liar {
    fn new(fault: Fault) -> Liar {
        let (uploads, before) = (AtomicU64::new(0), Mutex::default());
        Liar { honest: HostDevice::new(), fault, regions: Mutex::default(), uploads, before }
    }

    /// Where an address really is. A range that begins in a region's second half is as long as the half at most, so
    /// it stays inside when it begins in the first.
    fn place(&self, address: Address) -> Address {
        let regions = self.regions.lock();
        let (start, bytes) = regions.range(..=address).next_back().expect("an address inside a region");
        let half = bytes.get() / 2;
        let offset = address.0 - start.0;
        if self.fault == Fault::Overlap && offset >= half { start.plus(offset - half) } else { address }
    }
}

// SAFETY: D1. Regions are the host device's own; a range that `place` shifts stays inside its region.
unsafe impl DeviceMemory for Liar {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        self.honest.info()
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        let region = self.honest.allocate(bytes)?;
        self.regions.lock().insert(region.address, bytes);
        Ok(region)
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        self.honest.free(region)
    }

    fn host_addressable(&self) -> bool {
        false
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        let turn = self.uploads.fetch_add(1, Relaxed) % 64 == 63;
        if turn && self.fault == Fault::LostWrite {
            return Ok(());
        }
        let mut before = self.before.lock();
        let mut bytes = from.to_vec();
        if turn && self.fault == Fault::StaleUpload {
            let length = bytes.len().min(before.len());
            bytes[..length].copy_from_slice(&before[..length]);
        }
        before.clear();
        before.extend_from_slice(from);
        // SAFETY: the caller's promise, and D1 above for the shifted place.
        unsafe { self.honest.upload(self.place(to), &bytes) }
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        // SAFETY: as in `upload`.
        unsafe { self.honest.download(to, self.place(from)) }
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        // SAFETY: as in `upload`.
        unsafe { self.honest.copy(self.place(to), self.place(from), bytes) }
    }
}

/// Two weights, read in turn where one and a half fit, beside blocks that come and go.
fn a_small_trace() -> trace::Trace {
    let mut lines = String::from("t_us,thread,op,id,bytes,stream,tag\n");
    let mut line = |op: &str, id: u64, bytes: u64| lines.push_str(&format!("0,0,{op},{id},{bytes},0,x\n"));
    (1..=8).for_each(|id| line("load", id, 8192));
    for round in 0..64 {
        let block = 100 + round;
        line("alloc", block, 3000);
        line("access", 1 + round % 8, 8192);
        line("access", 1 + (round + 3) % 8, 8192);
        if round >= 2 {
            line("free", block - 2, 3000);
        }
    }
    trace::read_bytes(&zstd::encode_all(lines.as_bytes(), 3).unwrap(), "small").expect("a right trace")
}

fn mismatches_on(device: Arc<dyn DeviceMemory>) -> u64 {
    let words = ["freehold", "replay", "small", "--budget", "0.7"];
    let Some(Command::Replay(args)) = CommandLine::parse_from(words).command else { panic!("the words say replay") };
    let outcome = replay::replay(&a_small_trace(), &args, device, &ProgressBar::hidden()).expect("the replay begins");
    assert_eq!(outcome.report.refused, 0);
    assert!(outcome.report.evictions > 0, "uploads are made again and again");
    assert_eq!(outcome.report.mismatches == 0, outcome.details.complaints.is_empty(), "each is said in words");
    outcome.report.mismatches
}

#[test]
fn nothing_where_nothing_is_wrong() {
    assert_eq!(mismatches_on(Arc::new(HostDevice::new())), 0);
    assert_eq!(mismatches_on(Arc::new(Liar::new(Fault::None))), 0);
}

#[test]
fn an_overlap() {
    assert!(mismatches_on(Arc::new(Liar::new(Fault::Overlap))) > 0);
}

#[test]
fn a_stale_upload() {
    assert!(mismatches_on(Arc::new(Liar::new(Fault::StaleUpload))) > 0);
}

#[test]
fn a_lost_write() {
    assert!(mismatches_on(Arc::new(Liar::new(Fault::LostWrite))) > 0);
}

/// Every 512 bytes of a block in ordinary memory hold a stamp, whatever its id and size: so much of an overlap shows.
#[test]
fn no_large_gap_between_stamps() {
    for bytes in [1, 511, 4096, 65_536, 65_537, 100_000, 1 << 20, (3 << 20) + 5] {
        for id in 0..50 {
            let mut seen = 0;
            for span in block_spans(id, bytes, Sight::InPlace) {
                assert!(span.start <= seen + 512 && span.start % 8 == 0 && span.end <= bytes, "{bytes} {id} {span:?}");
                seen = span.end;
            }
            assert_eq!(seen, bytes, "the last byte is one of them");
        }
    }
}

#[test]
fn a_block_freed_twice() {
    let buddy = Buddy::new(Geometry::new(Bytes(1 << 20), Bytes(512)).unwrap());
    let mut memory = vec![0; 1 << 20];
    let take = || buddy.allocate(0, Request::new(Bytes(4096))).expect("the arena is nearly empty");
    let twin = |block: &Block| Block::from_parts(block.offset(), block.bytes());
    // Twice in a row: the buddy says so itself.
    let first = take();
    let again = twin(&first);
    buddy.free(0, first);
    assert!(buddy.try_free(0, again).is_err(), "its granules are free already");
    // With an owner in between, the second free takes that owner's memory away, and the next block lies over it.
    let first = take();
    let again = twin(&first);
    buddy.free(0, first);
    let owner = take();
    assert_eq!(owner.offset(), again.offset(), "the fault needs the same place");
    stamp(&mut memory, &owner, 1);
    buddy.free(0, again);
    let thief = take();
    stamp(&mut memory, &thief, 2);
    assert!(is_whole(&memory, &thief, 2));
    assert!(!is_whole(&memory, &owner, 1), "the checker sees whose bytes are gone");
    buddy.free(0, thief);
    assert!(buddy.try_free(0, owner).is_err(), "and the buddy sees that one block too many came back");
}

fn place(block: &Block) -> std::ops::Range<usize> {
    let start = block.offset().get() as usize;
    start..start + block.bytes().get() as usize
}

fn stamp(memory: &mut [u8], block: &Block, id: u32) {
    let bytes = &mut memory[place(block)];
    for span in block_spans(id, bytes.len() as u64, Sight::InPlace) {
        Contents::of(id).fill(span.start, &mut bytes[span.start as usize..span.end as usize]);
    }
}

fn is_whole(memory: &[u8], block: &Block, id: u32) -> bool {
    let bytes = &memory[place(block)];
    let mut spans = block_spans(id, bytes.len() as u64, Sight::InPlace);
    spans.all(|span| Contents::of(id).agree(span.start, &bytes[span.start as usize..span.end as usize]))
}
