//! C13: ranges of files, read or mapped, give what they hold after every eviction, and say with numbers when they cannot.
//! Not here: safetensors files (`source_safetensors_are_refused_cleanly`), and how long a source lives
//! (`source_lives_as_long_as_it_is_needed`).
#![allow(unsafe_code, reason = "a device out of the host's reach has to promise what DeviceMemory asks")]

use freehold_cuda::source::{FileError, MappedRange};
use freehold_cuda::{
    Address, Allocation, Bytes, DeviceError, DeviceInfo, DeviceMemory, Error, FileRange, HostDevice, Region,
    VramManager,
};
use freehold_tests::files::{ScratchFile, pattern};
use freehold_tests::world::read;
use std::fs::OpenOptions;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const KIB: u64 = 1 << 10;

fn manager(budget: u64) -> VramManager {
    VramManager::builder().budget(Bytes(budget)).build().unwrap()
}

#[test]
fn a_range_of_a_file_comes_back_after_every_eviction() {
    let bytes = pattern(1, 100_000);
    let file = ScratchFile::of(&bytes);
    let range = FileRange::open(file.path(), 1234, Bytes(50_000)).unwrap();
    let manager = manager(64 * KIB);
    let handle = manager.allocate(Allocation::new(range.bytes()).source(range)).unwrap();
    for _ in 0..3 {
        assert_eq!(read(&handle), bytes[1234..51_234]);
        manager.evict_for_space(Bytes(64 * KIB)).unwrap();
        assert!(!handle.is_resident());
    }
    let whole = FileRange::whole(file.path()).unwrap();
    assert_eq!(whole.bytes(), Bytes(100_000));
}

#[test]
fn a_range_beyond_its_file_is_refused_with_the_numbers() {
    let file = ScratchFile::of(&[7; 1000]);
    for (start, bytes) in [(0, 1001), (1000, 1), (1001, 0), (1, u64::MAX), (u64::MAX, u64::MAX)] {
        let refused = FileRange::open(file.path(), start, Bytes(bytes)).unwrap_err();
        let FileError::OutOfRange { start: at, bytes: asked, file: length } = refused else { panic!("{refused}") };
        assert_eq!((at, asked, length), (start, Bytes(bytes), Bytes(1000)));
        // SAFETY: nobody else knows the file.
        let refused = unsafe { MappedRange::open(file.path(), start, Bytes(bytes)) }.unwrap_err();
        assert!(matches!(refused, FileError::OutOfRange { .. }), "{refused}");
    }
    assert_eq!(FileRange::open(file.path(), 1000, Bytes(0)).unwrap().bytes(), Bytes(0));
    let missing = FileRange::whole("/nowhere/at/all").unwrap_err();
    assert!(matches!(missing, FileError::Io { .. }) && missing.to_string().contains("/nowhere/at/all"), "{missing}");
}

#[test]
fn a_file_that_shrinks_is_an_error_at_the_access_and_not_the_end_of_the_process() {
    let bytes = pattern(2, 40_000);
    let file = ScratchFile::of(&bytes);
    let manager = manager(64 * KIB);
    let source = FileRange::whole(file.path()).unwrap();
    let handle = manager.register(Allocation::new(Bytes(40_000)).label("weights").source(source)).unwrap();
    OpenOptions::new().write(true).open(file.path()).unwrap().set_len(39_999).unwrap();
    for _ in 0..2 {
        let Err(Error::SourceFailed { label, reason }) = handle.access().map(drop) else { panic!("it is too short") };
        assert_eq!(&*label, "weights");
        assert!(reason.to_string().contains("39999"), "{reason}");
        assert_eq!(manager.audit().unwrap().resident, Bytes(0));
    }
    std::fs::write(file.path(), &bytes).unwrap(); // repaired in place: the same file (C5)
    assert_eq!(read(&handle), bytes);
}

#[test]
fn a_range_of_another_size_than_its_entry_is_refused() {
    let file = ScratchFile::of(&[7; 1000]);
    let manager = manager(64 * KIB);
    for (entry, range) in [(1000, 999), (999, 1000), (1, 1000), (1000, 0)] {
        let source = FileRange::open(file.path(), 0, Bytes(range)).unwrap();
        let refused = manager.allocate(Allocation::new(Bytes(entry)).source(source)).map(drop).unwrap_err();
        let Error::SourceLength { expected, given, .. } = refused else { panic!("{refused}") };
        assert_eq!((expected, given), (Bytes(entry), Bytes(range)));
    }
    assert_eq!(manager.audit().unwrap().resident, Bytes(0));
}

#[test]
fn a_device_out_of_reach_is_fed_in_pieces() {
    let bytes = pattern(3, (2 << 20) + 12_345);
    let file = ScratchFile::of(&bytes);
    let device = Arc::new(OutOfReach { host: HostDevice::new(), largest_upload: AtomicUsize::new(0) });
    let manager = VramManager::builder().device(device.clone()).budget(Bytes(4 << 20)).build().unwrap();
    let source = FileRange::whole(file.path()).unwrap();
    let handle = manager.allocate(Allocation::new(source.bytes()).source(source)).unwrap();
    assert_eq!(read(&handle), bytes);
    assert!(device.largest_upload.load(SeqCst) <= 1 << 20, "no more than a piece is held at a time");
}

#[test]
fn a_mapped_range_is_looked_at_and_loaded() {
    let bytes = pattern(4, 20_000);
    let file = ScratchFile::of(&bytes);
    // SAFETY: nobody else knows the file.
    let range = unsafe { MappedRange::open(file.path(), 4099, Bytes(10_000)) }.unwrap();
    assert_eq!(range.as_slice(), &bytes[4099..14_099]);
    let manager = manager(64 * KIB);
    let handle = manager.register(Allocation::new(range.bytes()).source(range)).unwrap();
    assert_eq!(read(&handle), bytes[4099..14_099]);
    // SAFETY: as before.
    let empty = unsafe { MappedRange::open(file.path(), 20_000, Bytes(0)) }.unwrap();
    assert_eq!(empty.bytes(), Bytes(0));
}

/// The host device, but for the host: every byte has to be copied, as to a card.
#[derive(Debug)]
struct OutOfReach {
    host: HostDevice,
    largest_upload: AtomicUsize,
}

// SAFETY: D1 is the host device's, to which everything goes.
unsafe impl DeviceMemory for OutOfReach {
    fn info(&self) -> Result<DeviceInfo, DeviceError> {
        self.host.info()
    }

    fn allocate(&self, bytes: Bytes) -> Result<Region, DeviceError> {
        self.host.allocate(bytes)
    }

    fn free(&self, region: Region) -> Result<(), DeviceError> {
        self.host.free(region)
    }

    fn host_addressable(&self) -> bool {
        false
    }

    unsafe fn upload(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        self.largest_upload.fetch_max(from.len(), SeqCst);
        // SAFETY: this function's own contract.
        unsafe { self.host.upload(to, from) }
    }

    unsafe fn download(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        // SAFETY: this function's own contract.
        unsafe { self.host.download(to, from) }
    }

    unsafe fn copy(&self, to: Address, from: Address, bytes: Bytes) -> Result<(), DeviceError> {
        // SAFETY: this function's own contract.
        unsafe { self.host.copy(to, from, bytes) }
    }
}
