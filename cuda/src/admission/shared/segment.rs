//! The shared memory: a file in `/dev/shm`, mapped by each process, of atomics and nothing else.
//!
//! ```text
//! header: magic, version, total | changing, free, waiting, tickets (said again by `recount`)
//! cells:  one a process    { bytes leased, written by that process only | in use }
//! seats:  one a waiter     { state, also its futex | cell of its process | bytes | ticket }
//! ```
//! Everything is read and written by atomics, so that whatever another process does to it is at worst a wrong number, and
//! indices that come out of it are checked before use. The file lock on byte 0 orders all operations ([`locks`]).
#![allow(unsafe_code)] // One cast: the mapping as the structure that it is.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use freehold_core::Bytes;
use memmap2::MmapRaw;
use parking_lot::{Mutex, MutexGuard};

use super::error::SharedPoolError;
use super::locks;

pub(super) const CELLS: usize = 64;
pub(super) const SEATS: usize = 512;
const MAGIC: u64 = u64::from_le_bytes(*b"freehold");
const VERSION: u64 = 1;
const LARGEST_TOTAL: u64 = 1 << 60;
const TURN: usize = 0;

/// A seat's states: free -> waiting (its owner) -> granted (whoever serves) -> free (its owner, or who buries it).
pub(super) const FREE: u32 = 0;
pub(super) const WAITING: u32 = 1;
pub(super) const GRANTED: u32 = 2;

#[repr(C)]
pub(super) struct Layout {
    magic: AtomicU64,
    version: AtomicU64,
    total: AtomicU64,
    /// 1 while somebody changes the books: found at 1 by the next, its owner died in the middle.
    changing: AtomicU64,
    pub(super) free: AtomicU64,
    pub(super) waiting: AtomicU64,
    pub(super) tickets: AtomicU64,
    /// Grows when a process joins.
    pub(super) roster: AtomicU64,
    pub(super) cells: [ProcessCell; CELLS],
    pub(super) seats: [Seat; SEATS],
}

#[repr(C, align(64))]
pub(super) struct ProcessCell {
    pub(super) in_use: AtomicU64,
    pub(super) leased: AtomicU64,
}

#[repr(C)]
pub(super) struct Seat {
    pub(super) state: AtomicU32,
    pub(super) cell: AtomicU32,
    pub(super) bytes: AtomicU64,
    pub(super) ticket: AtomicU64,
}

/// The mapped file. L2: the mapping is as long as a [`Layout`] and page-aligned, and lives as long as this does.
pub(super) struct Segment {
    opened: &'static Opened,
    map: MmapRaw,
    /// Our cell, once we have one.
    own: OnceLock<usize>,
}

/// A file that is never closed, because that would end all locks of this process on it, those of a later join too.
struct Opened {
    file: File,
    path: PathBuf,
    /// The file lock is the process's: between its threads this decides.
    turn: Mutex<()>,
}

/// Whose turn it is, in this process and among all.
pub(super) struct Everyone {
    opened: &'static Opened,
    _turn: MutexGuard<'static, ()>,
}

impl Drop for Everyone {
    fn drop(&mut self) {
        let _ = locks::unlock(&self.opened.file, TURN);
    }
}

impl Opened {
    /// The one of this name in this process.
    fn of(name: &str) -> Result<&'static Opened, SharedPoolError> {
        static ALL: Mutex<BTreeMap<String, &'static Opened>> = Mutex::new(BTreeMap::new());
        let mut all = ALL.lock();
        if let Some(opened) = all.get(name) {
            return Ok(opened);
        }
        let path = PathBuf::from(format!("/dev/shm/freehold-{name}"));
        let options = OpenOptions::new().read(true).write(true).create(true).mode(0o600).to_owned();
        let file = options.open(&path).map_err(SharedPoolError::io("open the segment"))?;
        let opened = Box::leak(Box::new(Opened { file, path, turn: Mutex::new(()) }));
        all.insert(name.to_owned(), opened);
        Ok(opened)
    }

    fn lock(&'static self) -> Result<Everyone, SharedPoolError> {
        let turn = self.turn.lock();
        locks::lock(&self.file, TURN).map_err(SharedPoolError::io("lock the segment"))?;
        Ok(Everyone { opened: self, _turn: turn })
    }
}

impl Segment {
    pub(super) fn open(name: &str) -> Result<Segment, SharedPoolError> {
        let fine = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > 200 || !name.chars().all(fine) {
            return Err(SharedPoolError::Name { name: name.to_owned() });
        }
        let opened = Opened::of(name)?;
        let everyone = opened.lock()?;
        grow(opened)?;
        drop(everyone);
        let map = MmapRaw::map_raw(&opened.file).map_err(SharedPoolError::io("map the segment"))?;
        Ok(Segment { opened, map, own: OnceLock::new() })
    }

    pub(super) fn lock(&self) -> Result<Everyone, SharedPoolError> {
        self.opened.lock()
    }

    pub(super) fn books(&self) -> &Layout {
        assert!(self.map.len() >= size_of::<Layout>(), "L2");
        // SAFETY: L2. The mapping is long enough, aligned to a page and lives as long as `self`; all fields are atomics, for
        // which any bytes are a value and any concurrent access is allowed.
        unsafe { &*self.map.as_ptr().cast::<Layout>() }
    }

    pub(super) fn total(&self) -> u64 {
        self.books().total.load(Relaxed)
    }

    pub(super) fn seat_state(&self, seat: usize) -> &AtomicU32 {
        &self.books().seats[seat].state
    }

    /// Checks the header, or writes it where nobody lives in the segment. Byte 0 is ours.
    pub(super) fn prepare(&self, total: Bytes) -> Result<(), SharedPoolError> {
        if !(1..=LARGEST_TOTAL).contains(&total.get()) {
            return Err(SharedPoolError::Total { requested: total });
        }
        let books = self.books();
        let fresh = books.magic.load(Relaxed) == 0 && books.version.load(Relaxed) == 0;
        if !fresh && (books.magic.load(Relaxed), books.version.load(Relaxed)) != (MAGIC, VERSION) {
            return Err(SharedPoolError::Foreign { path: self.opened.path.clone() });
        }
        self.bury()?;
        if fresh || books.cells.iter().all(|cell| cell.in_use.load(Relaxed) == 0) {
            self.found(total.get());
        }
        self.recount();
        let leased = Bytes(self.leased());
        let total = Bytes(self.total());
        if leased > total {
            Err(SharedPoolError::Corrupt { path: self.opened.path.clone(), leased, total })
        } else {
            Ok(())
        }
    }

    /// An empty pool. The magic comes last: whoever dies before leaves a fresh segment.
    fn found(&self, total: u64) {
        let books = self.books();
        books.cells.iter().for_each(|cell| cell.leased.store(0, Relaxed));
        books.seats.iter().for_each(|seat| seat.state.store(FREE, Relaxed));
        books.total.store(total, Relaxed);
        books.version.store(VERSION, Relaxed);
        books.magic.store(MAGIC, Relaxed);
    }

    /// A cell of our own, whose byte says that we live. Byte 0 is ours.
    pub(super) fn take_cell(&self) -> Result<usize, SharedPoolError> {
        for (index, cell) in self.books().cells.iter().enumerate() {
            let locked = || locks::try_lock(&self.opened.file, life(index)).map_err(SharedPoolError::io("lock a cell"));
            if cell.in_use.load(Relaxed) == 0 && locked()? {
                cell.leased.store(0, Relaxed);
                cell.in_use.store(1, Relaxed);
                self.books().roster.fetch_add(1, Relaxed);
                return Ok(*self.own.get_or_init(|| index));
            }
        }
        Err(SharedPoolError::Crowded { processes: CELLS })
    }

    /// Our leases are gone, and so are we.
    pub(super) fn leave_cell(&self, index: usize) {
        self.empty_cell(index);
        let _ = locks::unlock(&self.opened.file, life(index));
    }

    pub(super) fn is_own_cell(&self, index: usize) -> bool {
        self.own.get() == Some(&index)
    }

    /// The turn, and books that add up.
    pub(super) fn begin(&self) -> Result<Everyone, SharedPoolError> {
        let everyone = self.lock()?;
        if self.books().changing.swap(1, Relaxed) != 0 {
            self.recount();
            self.bury()?;
        }
        Ok(everyone)
    }

    /// The books add up again. The turn goes when its guard does.
    pub(super) fn end(&self) {
        self.books().changing.store(0, Relaxed);
    }

    /// Whether another process lives in this cell, and which.
    pub(super) fn inhabitant(&self, index: usize) -> Result<Option<libc::pid_t>, SharedPoolError> {
        locks::holder(&self.opened.file, life(index)).map_err(SharedPoolError::io("look at a cell"))
    }
}

/// The byte that a cell's process locks for its life.
fn life(index: usize) -> usize {
    1 + index
}

fn grow(opened: &Opened) -> Result<(), SharedPoolError> {
    let length = opened.file.metadata().map_err(SharedPoolError::io("measure the segment"))?.len();
    match length {
        0 => opened.file.set_len(size_of::<Layout>() as u64).map_err(SharedPoolError::io("make the segment")),
        length if length == size_of::<Layout>() as u64 => Ok(()),
        _ => Err(SharedPoolError::Foreign { path: opened.path.clone() }),
    }
}
