//! An onlooker at the manager's evictions: was anybody of lower priority there who could have left instead? And did anybody leave for
//! who ranks lower?
//!
//! It keeps its own list of who is resident, fed by the manager's events, and of who is in use, fed by the replay. An
//! eviction counts as an inversion where somebody of lower priority is resident and has been left alone since before
//! the request began: then no other thread's work can excuse it. (What the events say is not enough: two threads may
//! tell of their evictions in another order than they made them. So the handle is asked, too.)

use std::cell::Cell;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{
    AtomicU32, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};

use freehold_cuda::{Event, Observer};
use parking_lot::Mutex;

use super::world::Entries;

thread_local! {
    /// When this thread's present request began.
    static BEGUN: Cell<u64> = const { Cell::new(0) };
    /// The priority that it asks with.
    static ASKS_WITH: Cell<i32> = const { Cell::new(i32::MAX) };
}

/// Who is resident, and how often the order was broken.
#[derive(Debug)]
pub(super) struct Watch {
    books: Mutex<Books>,
    uses: Vec<Uses>,
    entries: Arc<Entries>,
    /// Counts what begins and ends, so that any two such moments have an order.
    now: AtomicU64,
    inversions: AtomicU64,
    from_below: AtomicU64,
}

/// The uses of one weight, by the trace's id.
#[derive(Debug, Default)]
struct Uses {
    under_way: AtomicU32,
    last_end: AtomicU64,
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
    pub(super) fn new(entries: Arc<Entries>) -> Watch {
        let uses = entries.iter().map(|_| Uses::default()).collect();
        let (now, inversions, from_below) = Default::default();
        Watch { books: Mutex::default(), uses, entries, now, inversions, from_below }
    }

    /// A request of this thread begins.
    pub(super) fn request_begins(&self) {
        BEGUN.set(self.moment());
    }

    /// And asks with this priority. (Of shared weights it may be raised meanwhile, where threads run freely.)
    pub(super) fn asks_with(&self, priority: i32) {
        ASKS_WITH.set(priority);
    }

    fn moment(&self) -> u64 {
        // AcqRel: pairs with itself; what ended before a moment was drawn is seen by who draws a later one.
        self.now.fetch_add(1, AcqRel)
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
        // Relaxed: a use that has just begun is excused by its end, or by its being seen.
        self.uses[id as usize].under_way.fetch_add(1, Relaxed);
    }

    /// The use has ended.
    pub(super) fn use_ends(&self, id: u32) {
        let uses = &self.uses[id as usize];
        // Release: pairs with the Acquire in `is_idle`: who sees no use under way sees when the last one ended.
        uses.last_end.fetch_max(self.moment(), Relaxed);
        uses.under_way.fetch_sub(1, Release);
    }

    /// Evictions of a higher priority while a lower one was evictable.
    pub(super) fn inversions(&self) -> u64 {
        self.inversions.load(Relaxed)
    }

    /// Evictions of who ranked higher than the one who asked.
    pub(super) fn evicted_from_below(&self) -> u64 {
        self.from_below.load(Relaxed)
    }

    fn evicted(&self, handle: u64, priority: i32) {
        self.from_below.fetch_add(u64::from(priority > ASKS_WITH.get()), Relaxed);
        let books = &mut *self.books.lock();
        if let Some(known) = books.known.get(&handle) {
            books.resident.remove(&(known.priority, handle));
        }
        let lower = books.resident.range(..(priority, 0));
        let mut lower = lower.filter_map(|(_, handle)| books.known.get(handle));
        if lower.any(|known| self.is_idle(known.id)) {
            self.inversions.fetch_add(1, Relaxed);
        }
    }

    /// Whether a weight is resident, and was left alone since before this thread's request.
    fn is_idle(&self, id: u32) -> bool {
        let uses = &self.uses[id as usize];
        let quiet = uses.under_way.load(Acquire) == 0 && uses.last_end.load(Relaxed) < BEGUN.get();
        // Whoever changes the entry at this moment excuses it.
        quiet && self.entries[id as usize].try_read().is_some_and(|entry| entry.is_resident())
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
