//! Counting without a read-modify-write: each thread has a seat of its own, and adds to the cell of that seat by a plain load
//! and store.
//!
//! A seat is taken at a thread's first count and left when the thread ends. With all seats taken, the last is shared, and
//! there counting is a read-modify-write.

use std::sync::atomic::{AtomicU64, Ordering::*};

use crossbeam_utils::CachePadded;

const SEATS: usize = 32;
/// Shared by those who came too late.
const STANDING: usize = SEATS;

/// Two counts that grow: of what went well, and of what did not.
pub(super) struct Tally {
    cells: [CachePadded<[AtomicU64; 2]>; SEATS + 1],
}

impl Default for Tally {
    fn default() -> Tally {
        Tally { cells: std::array::from_fn(|_| CachePadded::default()) }
    }
}

impl Tally {
    #[inline]
    pub(super) fn count(&self, good: bool) {
        // A thread that ends has left its seat already.
        let seat = SEAT.try_with(|seat| seat.0).unwrap_or(STANDING);
        let count = &self.cells[seat][usize::from(good)];
        if seat == STANDING {
            count.fetch_add(1, Relaxed);
        } else {
            // Relaxed: a statistic. Nobody else writes this cell: the seat is ours, and who had it before wrote before (S1).
            count.store(count.load(Relaxed) + 1, Relaxed);
        }
    }

    pub(super) fn sum(&self, good: bool) -> u64 {
        self.cells.iter().map(|cell| cell[usize::from(good)].load(Relaxed)).sum()
    }
}

/// A bit for each seat that is taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);
const _: () = assert!(SEATS < 64);

struct Seat(usize);

thread_local! {
    static SEAT: Seat = Seat::take();
}

impl Seat {
    fn take() -> Seat {
        let lowest_free = |taken: u64| Some(taken | (taken + 1)).filter(|taken| taken >> SEATS == 0);
        // Acquire: S1, pairs with the Release in `drop`; the counts of the seat's last owner are there.
        match TAKEN.fetch_update(Acquire, Relaxed, lowest_free) {
            Ok(taken) => Seat(taken.trailing_ones() as usize),
            Err(_) => Seat(STANDING),
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if self.0 != STANDING {
            // Release: S1, pairs with the Acquire in `take`.
            TAKEN.fetch_and(!(1 << self.0), Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_threads_than_seats_lose_no_count() {
        let tally = Tally::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * SEATS {
                    scope.spawn(|| (0..500).for_each(|turn| tally.count(turn % 5 == 0)));
                }
            });
        }
        assert_eq!((tally.sum(true), tally.sum(false)), (6 * SEATS as u64 * 100, 6 * SEATS as u64 * 400));
    }
}
