//! A ring of records: the last `N` things that happened, written by many threads at once and read at leisure.
//!
//! It belongs to no request's path and decides nothing; a log stands on it. A writer draws a ticket, which is the
//! record's place in the order of all, and writes into the slot of that number, over the record that was there one round before.
//!
//! ```text
//!   sequence word of a slot:   0  ----->  2t + 1  ----->  2t + 2          t: the ticket of the record in it
//!                            empty       being written    whole
//! ```
//!
//! Nobody waits. A writer that finds its slot in another's hands (one that was stopped in the middle, a whole round ago), or already
//! written by a later round, gives its record up, and that is counted. A reader takes a record only where the sequence word says the
//! same before and after.
//!
//! | edge | written by | read by | what becomes visible | model that fails without it |
//! | --- | --- | --- | --- | --- |
//! | N-E1 | `write` (Release, whole) | `record` (Acquire, before) | the record's words | `ring_record_is_read_whole_or_not_at_all` |
//! | N-E2 | `write` (fence after the claim) | `record` (fence, then the word again) | that the words are being replaced | the same |
//! | N-E3 | `write` (Release, whole) | `write` (Acquire, the claim) | the last round's words, so that ours replace them | `ring_writers_of_two_rounds_do_not_mix` |

use alloc::boxed::Box;

use crate::sync::atomic::{AtomicU64, Ordering, fence};
use crate::sync::zeroed_words;

/// The words of one record.
pub const WORDS: usize = if crate::LOOM { 2 } else { 7 };

/// The words of one slot: its sequence, then the record.
const STRIDE: usize = WORDS + 1;

/// What a record consists of.
pub type Record = [u64; WORDS];

/// The last records, each whole. Having a `&Ring` is enough to write.
#[derive(Debug)]
pub struct Ring {
    words: Box<[AtomicU64]>,
    /// How many tickets were drawn.
    next: AtomicU64,
    /// Records that their writers gave up.
    given_up: AtomicU64,
    mask: u64,
}

impl Ring {
    /// A ring for at least `records` records, a power of two.
    ///
    /// ```
    /// use freehold_core::ring::Ring;
    ///
    /// let ring = Ring::new(2);
    /// (0..3).for_each(|number| ring.write([number; 7]));
    /// let mut kept = Vec::new();
    /// ring.read(|ticket, record| kept.push((ticket, record[0])));
    /// assert_eq!((kept, ring.written()), (vec![(1, 1), (2, 2)], 3)); // the oldest made way
    /// ```
    ///
    /// # Panics
    /// Where so many records need more than `usize::MAX` bytes.
    #[must_use]
    pub fn new(records: usize) -> Ring {
        let records = records.max(1).checked_next_power_of_two();
        let words = records.and_then(|records| records.checked_mul(STRIDE)).expect("a ring fits the address space");
        let (records, words) = (words / STRIDE, zeroed_words(words));
        let [next, given_up] = [0, 0].map(AtomicU64::new);
        Ring { words, next, given_up, mask: records as u64 - 1 }
    }

    /// Writes a record, unless its slot is in another's hands.
    ///
    /// **Progress**: wait-free. **Complexity**: one RMW, one compare-exchange, and the words.
    #[inline]
    pub fn write(&self, record: Record) {
        // Relaxed: the ticket is the order; what is ordered by it is published by the slot.
        let ticket = self.next.fetch_add(1, Ordering::Relaxed);
        self.write_at(ticket, record);
    }

    /// Writes records that stand side by side in the order of all.
    pub fn write_run(&self, records: &[Record]) {
        // Relaxed: as in `write`.
        let first = self.next.fetch_add(records.len() as u64, Ordering::Relaxed);
        for (ticket, record) in (first..).zip(records) {
            self.write_at(ticket, *record);
        }
    }

    #[inline]
    fn write_at(&self, ticket: u64, record: Record) {
        let (sequence, words) = self.slot(ticket);
        // Relaxed: the compare-exchange below looks again.
        let seen = sequence.load(Ordering::Relaxed);
        let ours = 2 * ticket + 1;
        // Acquire N-E3: pairs with the Release store below, of the round before. Without it the last writer's words might come after
        // ours in their own order, and stay.
        let claimed = seen.is_multiple_of(2)
            && seen < ours
            && sequence.compare_exchange(seen, ours, Ordering::Acquire, Ordering::Relaxed).is_ok();
        if !claimed {
            // Relaxed: a count.
            self.given_up.fetch_add(1, Ordering::Relaxed);
            return;
        }
        // Release N-E2: pairs with the Acquire fence in `record`. Who sees one of our words sees that the slot is being written.
        fence(Ordering::Release);
        for (word, value) in words.iter().zip(record) {
            // Relaxed: the fence before and the store after order it.
            word.store(value, Ordering::Relaxed);
        }
        // Release N-E1, N-E3: pairs with the Acquire in `record` and that of the next round's claim; the words are there.
        sequence.store(ours + 1, Ordering::Release);
    }

    /// Every record that is there and whole, with its ticket, oldest first. What is written meanwhile may be missed.
    ///
    /// **Complexity**: the size of the ring.
    pub fn read(&self, mut visit: impl FnMut(u64, Record)) {
        let written = self.written();
        for ticket in written.saturating_sub(self.mask + 1)..written {
            if let Some(record) = self.record(ticket) {
                visit(ticket, record);
            }
        }
    }

    /// The record of a ticket, if it is still there and whole.
    fn record(&self, ticket: u64) -> Option<Record> {
        let (sequence, words) = self.slot(ticket);
        let whole = 2 * ticket + 2;
        // Acquire N-E1: pairs with the Release store in `write_at`.
        if sequence.load(Ordering::Acquire) != whole {
            return None;
        }
        let mut record = [0; WORDS];
        for (place, word) in record.iter_mut().zip(words) {
            // Relaxed: whether it is of this record, the look below says.
            *place = word.load(Ordering::Relaxed);
        }
        // Acquire N-E2: pairs with the Release fence in `write_at`. If a word was a later writer's, so is the sequence now.
        fence(Ordering::Acquire);
        // Relaxed: the fence orders it.
        (sequence.load(Ordering::Relaxed) == whole).then_some(record)
    }

    /// How many records were ever begun.
    #[must_use]
    pub fn written(&self) -> u64 {
        // Relaxed: a count; the slots say what is there.
        self.next.load(Ordering::Relaxed)
    }

    /// How many records found their slot in another's hands, and are nowhere.
    #[must_use]
    pub fn given_up(&self) -> u64 {
        // Relaxed: a count.
        self.given_up.load(Ordering::Relaxed)
    }

    /// How many records it keeps.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.mask as usize + 1
    }

    #[inline]
    fn slot(&self, ticket: u64) -> (&AtomicU64, &[AtomicU64]) {
        let at = (ticket & self.mask) as usize * STRIDE;
        let slot = &self.words[at..at + STRIDE];
        (&slot[0], &slot[1..])
    }
}
