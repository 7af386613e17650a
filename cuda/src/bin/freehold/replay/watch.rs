//! An onlooker at the manager's evictions: was anybody of lower priority there who could have left instead?
//!
//! It keeps its own list of who is resident, fed by the manager's events, and of who is in use, fed by the replay. An
//! eviction counts as an inversion where somebody of lower priority was resident and has been left alone since before
//! the request began: then no other thread's work can excuse it.

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use freehold_cuda::{Event, Observer};
use parking_lot::Mutex;

/// The mark of a weight that is in use now.
const IN_USE: u64 = u64::MAX;

thread_local! {
    /// The event number at which this thread's present request began.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
}

/// Says that what follows on this thread belongs to event `tick`.
pub(super) fn begin(tick: u64) {
    BEGUN.set(tick);
}

/// Who is resident, and how often the order was broken.
#[derive(Debug)]
pub(super) struct Watch {
    books: Mutex<Books>,
    /// By the trace's id: when its last use ended, or `IN_USE`.
    quiet_since: Vec<AtomicU64>,
    inversions: AtomicU64,
}

#[derive(Debug, Default)]
struct Books {
    known: HashMap<u64, Known>,
    resident: BTreeSet<(i32, u64)>,
}

/// One weight, by the manager's id.
#[derive(Clone, Copy, Debug)]
struct Known {
    id: u32,
    priority: i32,
}

impl Watch {
    pub(super) fn new(ids: usize) -> Watch {
        let quiet_since = (0..ids).map(|_| AtomicU64::new(0)).collect();
        Watch { books: Mutex::default(), quiet_since, inversions: AtomicU64::new(0) }
    }

    /// A weight became known, or another consumer changed its priority.
    pub(super) fn know(&self, handle: u64, id: u32, priority: i32) {
        let books = &mut *self.books.lock();
        let before = books.known.insert(handle, Known { id, priority });
        if before.is_some_and(|before| books.resident.remove(&(before.priority, handle))) {
            books.resident.insert((priority, handle));
        }
    }

    /// A weight is gone.
    pub(super) fn forget(&self, handle: u64) {
        let books = &mut *self.books.lock();
        if let Some(known) = books.known.remove(&handle) {
            books.resident.remove(&(known.priority, handle));
        }
    }

    /// A weight is being used: it is no candidate.
    pub(super) fn use_begins(&self, id: u32) {
        // Relaxed, here and below: the books' lock orders what is compared on one thread; between threads a late value
        // only excuses an eviction.
        self.quiet_since[id as usize].store(IN_USE, Relaxed);
    }

    /// The use has ended, at event `tick`.
    pub(super) fn use_ends(&self, id: u32, tick: u64) {
        self.quiet_since[id as usize].store(tick, Relaxed);
    }

    /// Evictions of a higher priority while a lower one was evictable.
    pub(super) fn inversions(&self) -> u64 {
        self.inversions.load(Relaxed)
    }

    fn evicted(&self, handle: u64, priority: i32) {
        let books = &mut *self.books.lock();
        if let Some(known) = books.known.get(&handle) {
            books.resident.remove(&(known.priority, handle));
        }
        let lower = books.resident.range(..(priority, 0));
        let mut lower = lower.filter_map(|(_, handle)| books.known.get(handle));
        if lower.any(|known| self.quiet_since[known.id as usize].load(Relaxed) < BEGUN.get()) {
            self.inversions.fetch_add(1, Relaxed);
        }
    }
}

impl Observer for Watch {
    fn event(&self, event: &Event) {
        match event {
            Event::Loaded { id, .. } => {
                let books = &mut *self.books.lock();
                if let Some(known) = books.known.get(id) {
                    books.resident.insert((known.priority, *id));
                }
            }
            Event::Evicted { id, rank, .. } => self.evicted(*id, rank.priority),
            _ => {}
        }
    }
}
