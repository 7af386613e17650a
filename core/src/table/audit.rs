//! The audit: every slot of the table accounted for, once. Exact while nobody else inserts or retires.

use crossbeam_epoch::Guard;

use super::handle::HandleKey;
use super::{Entry, Ordering, Table};

/// What an audit counted: `slots = live + free + worn_out`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableBooks {
    /// Slots handed out so far.
    pub slots: u32,
    /// Slots with an entry.
    pub live: u32,
    /// Slots on the free list.
    pub free: u32,
    /// Slots whose generations are used up.
    pub worn_out: u32,
}

/// What an audit found wrong. Each is a defect of this crate, or another thread was at work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableFault {
    /// An entry is met in a slot that its key does not name.
    Misplaced {
        /// The slot.
        index: u32,
        /// The entry's key.
        key: HandleKey,
    },
    /// A key is on the free list although its slot has an entry, or was never handed out.
    NotFree {
        /// The key on the list.
        key: HandleKey,
    },
    /// A slot is lost, or counted twice.
    Unbalanced {
        /// The sums that do not agree.
        books: TableBooks,
    },
    /// The entries met are not as many as were inserted and not retired.
    Miscounted {
        /// Entries met.
        met: u32,
        /// Inserted minus retired.
        counted: usize,
    },
}

impl<T: Send + Sync + 'static> Table<T> {
    /// Counts every slot. **Complexity**: linear in the slots.
    ///
    /// **Panics** when the guard is of another collector.
    ///
    /// # Errors
    /// The first fault met, with its numbers.
    pub fn audit(&self, guard: &Guard) -> Result<TableBooks, TableFault> {
        let books = TableBooks {
            slots: self.fresh.load(Ordering::Relaxed), // Relaxed, all of this file: nobody else is at work.
            live: self.audit_live(guard)?,
            free: self.audit_free(guard)?,
            worn_out: self.worn_out.load(Ordering::Relaxed),
        };
        if u64::from(books.slots) != [books.live, books.free, books.worn_out].iter().map(|&n| u64::from(n)).sum() {
            return Err(TableFault::Unbalanced { books });
        }
        match self.len() {
            counted if counted == books.live as usize => Ok(books),
            counted => Err(TableFault::Miscounted { met: books.live, counted }),
        }
    }

    fn audit_live(&self, guard: &Guard) -> Result<u32, TableFault> {
        let in_slot = |index| Some((index, self.slots.get(index)?.read(guard)?));
        let mut live = 0;
        for (index, entry) in (0..self.fresh.load(Ordering::Relaxed)).filter_map(in_slot) {
            let key = Entry::key(entry);
            if key.index() != index {
                return Err(TableFault::Misplaced { index, key });
            }
            live += 1;
        }
        Ok(live)
    }

    /// Bounded by the slots: a list that is longer runs in a circle, and the sum says so.
    fn audit_free(&self, guard: &Guard) -> Result<u32, TableFault> {
        let (slots, mut free) = (self.fresh.load(Ordering::Relaxed), 0);
        let mut top = self.traffic.free.top();
        while let Some(key) = top.filter(|_| free <= slots) {
            let occupied = self.slots.get(key.index()).is_none_or(|slot| slot.read(guard).is_some());
            if occupied || key.index() >= slots {
                return Err(TableFault::NotFree { key });
            }
            free += 1;
            top = HandleKey::from_bits(super::FreeList::below(key, &self.slots));
        }
        Ok(free)
    }
}
