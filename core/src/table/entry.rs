//! The entry: everything the core knows of one buffer, and the right to it.

use core::fmt;
use core::ops::Deref;

use super::handle::HandleKey;
use super::residency::ResidencyWord;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// One entry of a [`Table`](super::Table): its names, its residency, what it is ranked by, and the caller's payload.
///
/// Having a `&Entry` tells you that its memory in the table is there; it tells you nothing about the bytes on the device,
/// which only a pin on [`residency`](Self::residency) holds in place.
// In this order: what an access writes and what a scan for victims reads stand together, and a payload of a line or more
// keeps the next entry's away. Lines of their own would ask the system for aligned memory, which costs 50 ns an entry.
#[repr(C)]
pub struct Entry<T> {
    shared: Shared,
    payload: T,
}

struct Shared {
    residency: ResidencyWord,
    last_use: AtomicU64,
    priority: AtomicI32,
    key: HandleKey,
    id: u64,
}

impl<T> Entry<T> {
    pub(super) fn new(key: HandleKey, id: u64, priority: i32, tick: u64, payload: T) -> Self {
        let shared = Shared {
            residency: ResidencyWord::new(),
            last_use: AtomicU64::new(tick),
            priority: AtomicI32::new(priority),
            key,
            id,
        };
        Entry { shared, payload }
    }

    /// The name by which the table finds it.
    #[must_use]
    #[inline]
    pub fn key(&self) -> HandleKey {
        self.shared.key
    }

    /// Its number in the order of insertion: never given twice in the life of a table. It breaks ties between entries of
    /// equal priority and use (B5).
    #[must_use]
    #[inline]
    pub fn id(&self) -> u64 {
        self.shared.id
    }

    /// What the caller put in.
    #[must_use]
    #[inline]
    pub fn payload(&self) -> &T {
        &self.payload
    }

    /// Who may touch its bytes now.
    #[must_use]
    #[inline]
    pub fn residency(&self) -> &ResidencyWord {
        &self.shared.residency
    }

    /// Lower leaves first.
    #[must_use]
    #[inline]
    pub fn priority(&self) -> i32 {
        // Relaxed: a number that a scan compares; nothing is read on the strength of it.
        self.shared.priority.load(Ordering::Relaxed)
    }

    /// Changes the priority, at any time; it counts from the next scan on (B8).
    pub fn set_priority(&self, priority: i32) {
        // Relaxed: as in `priority`.
        self.shared.priority.store(priority, Ordering::Relaxed);
    }

    /// The tick of the latest use.
    #[must_use]
    #[inline]
    pub fn last_use(&self) -> u64 {
        // Relaxed: as in `priority`.
        self.shared.last_use.load(Ordering::Relaxed)
    }

    /// Notes a use at `tick` (B4). A tick older than the one noted changes nothing, so a thread that was held up between
    /// drawing its tick and noting it does not make a hot entry look cold.
    ///
    /// Of two threads that note their ticks in the same instant the earlier may win, and nobody can tell their uses apart:
    /// a read-modify-write would decide it, and cost as much again as the pin.
    #[inline]
    pub fn touch(&self, tick: u64) {
        if self.last_use() < tick {
            // Relaxed: as in `priority`.
            self.shared.last_use.store(tick, Ordering::Relaxed);
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.key())
            .field("id", &self.id())
            .field("residency", &self.residency().snapshot())
            .field("priority", &self.priority())
            .field("last_use", &self.last_use())
            .field("payload", &self.payload)
            .finish()
    }
}

/// The right to one entry: it exists once, reads the entry without a guard, and alone can retire it.
///
/// It keeps the entry alive by itself and may outlive the table. It is not a handle of a plugin: that one is built around
/// it. Dropping it without [`Table::retire`](super::Table::retire) leaves the entry in the table, where lookups and scans
/// still find it, until the table is dropped.
#[must_use = "dropped without `Table::retire`, the entry stays until the table goes"]
pub struct Owner<T>(Arc<Entry<T>>);

impl<T> Owner<T> {
    pub(super) fn new(entry: Arc<Entry<T>>) -> Self {
        Owner(entry)
    }
}

impl<T> Deref for Owner<T> {
    type Target = Entry<T>;

    #[inline]
    fn deref(&self) -> &Entry<T> {
        &self.0
    }
}

impl<T: fmt::Debug> fmt::Debug for Owner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Owner").field(&**self).finish()
    }
}
