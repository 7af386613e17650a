//! 3. What is its name? The handle table: entries that are found by key, read without waiting, and gone when retired.
//!
//! ```text
//!   HandleKey { index, generation }
//!        |                                     +-- Entry ------------------------------------+
//!        +--> slot[index] ----- pointer -----> | key, id, residency, rank | payload          |
//!             (never moves)        ^           +---------------------------------------------+
//!                                  |                ^                    ^
//!                                  |                | one count          | under a guard
//!                                unlinked at      Owner                 readers
//!                                retire, once
//! ```
//!
//! The life of a name: `insert` takes a key off the free list, or a fresh slot, puts the entry on the heap and its pointer in
//! the slot. `get` loads the pointer under an epoch guard and compares the whole key, so a stale key finds nothing.
//! `retire` empties the slot at once, puts it back under the key of its next generation, and drops the entry when no
//! guard can see it any more. Entries never move, and a slot is reused at once: a reader that stands still delays the
//! entry it may be reading, and nothing else (G4).
//!
//! Source: epochs after Fraser, *Practical lock-freedom* (2004), by crossbeam-epoch; the free list is Treiber's stack (1986).

mod audit;
mod entry;
mod free;
mod handle;
mod outcome;
mod residency;
mod slot;
mod state;

use core::fmt;

use crossbeam_epoch::{Collector, Guard};
use crossbeam_utils::CachePadded;

pub use audit::{TableBooks, TableFault};
pub use entry::{Entry, Owner};
pub use handle::HandleKey;
pub use outcome::{Claim, Duty, FollowUp, Pin, Want};
pub use residency::ResidencyWord;
pub use state::{Residency, State};

use crate::sync::Arc;
use crate::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use free::FreeList;
use slot::{CAPACITY, Slots};

/// Entries by [`HandleKey`], for any number of threads.
///
/// **Progress**: `get` and each step of `iter` are wait-free; `insert` and `retire` are lock-free, and retry only when
/// another has changed the free list in between. They allocate an entry, sometimes a segment of slots, and room for what
/// waits for the epoch; reading allocates nothing. **Complexity**: constant, but for `insert` when it grows the table,
/// which initialises as many slots as there are already.
///
/// ```
/// use crossbeam_epoch::Collector;
/// use freehold_core::table::Table;
///
/// let collector = Collector::new(); // with std: `crossbeam_epoch::default_collector().clone()`
/// let table = Table::new(collector.clone());
/// let owner = table.insert(0, 1, "weights of layer 7");
/// let key = owner.key();
///
/// let reader = collector.register();
/// let guard = reader.pin(); // with std: `crossbeam_epoch::pin()`
/// assert_eq!(table.get(key, &guard).map(|entry| *entry.payload()), Some("weights of layer 7"));
/// table.retire(owner, &guard);
/// assert!(table.get(key, &guard).is_none(), "stale, never dangling");
/// ```
pub struct Table<T> {
    slots: Slots<T>,
    /// Slots handed out so far: those below this index exist.
    fresh: AtomicU32,
    traffic: CachePadded<Traffic>,
    /// Slots whose last generation is over.
    worn_out: AtomicU32,
    /// Whose guards protect readers: an entry is given up through it, so a guard of another would protect nothing.
    collector: Collector,
}

/// What every insert and every retire writes: on one cache line, which then comes from another thread once and not twice.
struct Traffic {
    free: FreeList,
    /// Entries inserted so far, which is also the next id.
    inserted: AtomicU64,
    retired: AtomicU64,
}

impl<T: Send + Sync + 'static> Table<T> {
    /// An empty table whose readers pin `collector`.
    #[must_use]
    pub fn new(collector: Collector) -> Self {
        let traffic = Traffic { free: FreeList::new(), inserted: AtomicU64::new(0), retired: AtomicU64::new(0) };
        Table {
            slots: Slots::new(),
            fresh: AtomicU32::new(0),
            traffic: CachePadded::new(traffic),
            worn_out: AtomicU32::new(0),
            collector,
        }
    }

    /// Adds an entry, absent, last used at `tick`; it can be found from now on.
    ///
    /// **Panics** when there have been 2^32 - 64 entries at one time: there is no name left to give.
    pub fn insert(&self, priority: i32, tick: u64, payload: T) -> Owner<T> {
        let key = self.traffic.free.pop(&self.slots).unwrap_or_else(|| self.fresh_key());
        // Relaxed: a number that is given once; it orders nothing.
        let id = self.traffic.inserted.fetch_add(1, Ordering::Relaxed);
        let entry = Arc::new(Entry::new(key, id, priority, tick, payload));
        self.slots.get_or_grow(key.index()).publish(Arc::clone(&entry));
        Owner::new(entry)
    }

    /// Takes an entry out: no lookup that begins after this finds it. It is dropped when the last guard that may see it is
    /// gone, by whichever thread notices.
    ///
    /// **Panics** when the owner is of another table, or the guard of another collector.
    pub fn retire(&self, owner: Owner<T>, guard: &Guard) {
        self.check(guard);
        let key = owner.key();
        let entry = self.slots.get(key.index()).and_then(|slot| slot.unpublish(&owner));
        let entry = entry.unwrap_or_else(|| panic!("entry {key} is not of this table"));
        guard.defer(move || drop(entry));
        self.traffic.retired.fetch_add(1, Ordering::Relaxed); // Relaxed: a count for `len`; it orders nothing.
        match key.next() {
            Some(next) => self.traffic.free.push(next, &self.slots),
            None => _ = self.worn_out.fetch_add(1, Ordering::Relaxed), // Relaxed: a count for the audit.
        }
    }

    /// The entry of this name, unless it has been retired.
    ///
    /// **Panics** when the guard is of another collector.
    #[must_use]
    pub fn get<'g>(&'g self, key: HandleKey, guard: &'g Guard) -> Option<&'g Entry<T>> {
        self.check(guard);
        self.slots.get(key.index())?.read(guard).filter(|entry| entry.key() == key)
    }

    /// All entries, in the order of their slots. One that is inserted or retired meanwhile may be met or not; every other
    /// is met once.
    ///
    /// **Panics** when the guard is of another collector.
    pub fn iter<'g>(&'g self, guard: &'g Guard) -> impl Iterator<Item = &'g Entry<T>> {
        self.check(guard);
        // Relaxed: only a bound. Who knows of an entry knows, by what told it, of the index drawn before it.
        let drawn = self.fresh.load(Ordering::Relaxed);
        self.slots.iter().take(drawn as usize).filter_map(|slot| slot.read(guard))
    }

    /// How many entries there are; while others insert and retire, how many there were about now.
    #[must_use]
    pub fn len(&self) -> usize {
        // Relaxed: two counts read one after the other are an approximation in any order.
        let retired = self.traffic.retired.load(Ordering::Relaxed);
        self.traffic.inserted.load(Ordering::Relaxed).saturating_sub(retired) as usize
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The first key of a slot that nobody has had. Lock-free: a retry means that another took the one before.
    fn fresh_key(&self) -> HandleKey {
        // Relaxed: an index that is given once; its slot is made known by its segment's pointer.
        let drawn = self.fresh.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| (n < CAPACITY).then_some(n + 1));
        HandleKey::first(drawn.unwrap_or_else(|full| panic!("all {full} slots of the table are taken")))
    }

    fn check(&self, guard: &Guard) {
        assert!(guard.collector() == Some(&self.collector), "the guard is of another collector than the table's");
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("slots", &self.fresh)
            .field("inserted", &self.traffic.inserted)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, not(freehold_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_slot_whose_generations_are_used_up_is_never_used_again() {
        let collector = Collector::new();
        let (table, reader) = (Table::new(collector.clone()), collector.register());
        let _first = table.fresh_key();
        let last = HandleKey::from_bits(u64::from(u32::MAX) << 32).expect("a generation that is not 0");
        table.traffic.free.push(last, &table.slots);

        let owner = table.insert(0, 0, ());
        assert_eq!(owner.key(), last);
        table.retire(owner, &reader.pin());
        assert!(table.get(last, &reader.pin()).is_none());
        assert_eq!(table.insert(0, 0, ()).key(), HandleKey::first(1), "the next name is of another slot");
        let books = TableBooks { slots: 2, live: 1, free: 0, worn_out: 1 };
        assert_eq!(table.audit(&reader.pin()), Ok(books));
    }

    #[test]
    fn an_audit_sees_a_lost_slot_a_taken_one_on_the_list_and_a_wrong_count() {
        let collector = Collector::new();
        let (table, reader) = (Table::new(collector.clone()), collector.register());
        let owner = table.insert(0, 0, ());
        table.traffic.inserted.fetch_add(1, Ordering::Relaxed);
        assert_eq!(table.audit(&reader.pin()), Err(TableFault::Miscounted { met: 1, counted: 2 }));
        let _lost = table.fresh_key();
        let books = TableBooks { slots: 2, live: 1, free: 0, worn_out: 0 };
        assert_eq!(table.audit(&reader.pin()), Err(TableFault::Unbalanced { books }));
        table.traffic.free.push(owner.key(), &table.slots);
        assert_eq!(table.audit(&reader.pin()), Err(TableFault::NotFree { key: owner.key() }));
    }
}
