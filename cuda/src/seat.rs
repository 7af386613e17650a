//! A seat: a small number that one living thread has to itself, so that what it counts it may count by a plain load and store.
//!
//! A seat is taken at a thread's first count and left when the thread ends. With all seats taken, the last is shared, and
//! there counting is a read-modify-write.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering::*};

use crossbeam_utils::CachePadded;

const SEATS: usize = 32;
/// Shared by those who came too late.
const STANDING: usize = SEATS;

/// Always, but in the build against which `benches/counting.sh` measures what counting costs.
const COUNTING: bool = !cfg!(freehold_uncounted);

/// `N` counts that only grow, in a cell for each seat. A sum is exact of all that happened before it was read (whoever counted
/// has been joined, or has told so); of what happens meanwhile it shows some part, and never more than was counted.
pub(crate) struct Cells<const N: usize> {
    cells: [CachePadded<[AtomicU64; N]>; SEATS + 1],
}

impl<const N: usize> Default for Cells<N> {
    fn default() -> Self {
        Cells { cells: std::array::from_fn(|_| CachePadded::new([const { AtomicU64::new(0) }; N])) }
    }
}

impl<const N: usize> Cells<N> {
    /// Adds one to a count.
    #[inline]
    pub(crate) fn count(&self, which: usize) {
        if !COUNTING {
            return;
        }
        match SEAT.get() {
            seat @ ..STANDING => self.add_seated(seat, which, 1),
            _ => self.add_slowly(which),
        }
    }

    /// Adds to several counts at once.
    pub(crate) fn add<const M: usize>(&self, amounts: [(usize, u64); M]) {
        if !COUNTING {
            return;
        }
        let seat = seat();
        for (which, amount) in amounts {
            self.add_from(seat, which, amount);
        }
    }

    #[cold]
    fn add_slowly(&self, which: usize) {
        self.add_from(seat(), which, 1);
    }

    fn add_from(&self, seat: usize, which: usize, amount: u64) {
        if seat < STANDING {
            self.add_seated(seat, which, amount);
        } else {
            self.cells[STANDING][which].fetch_add(amount, Relaxed); // Relaxed: a statistic.
        }
    }

    #[inline]
    fn add_seated(&self, seat: usize, which: usize, amount: u64) {
        let count = &self.cells[seat][which];
        // Relaxed: a statistic. Nobody else writes this cell: the seat is ours, and who had it before wrote before (S1).
        count.store(count.load(Relaxed).wrapping_add(amount), Relaxed);
    }

    /// What all have counted.
    pub(crate) fn sum(&self, which: usize) -> u64 {
        self.cells.iter().map(|cell| cell[which].load(Relaxed)).fold(0, u64::wrapping_add)
    }
}

impl<const N: usize> std::fmt::Debug for Cells<N> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries((0..N).map(|which| self.sum(which))).finish()
    }
}

/// A bit for each seat that is taken.
static TAKEN: AtomicU64 = AtomicU64::new(0);
const _: () = assert!(SEATS < 64);

/// What `SEAT` says of a thread that has not counted yet.
const UNASKED: usize = STANDING + 1;

thread_local! {
    // Two cells: what is read at each count has nothing to drop and nothing to make, and is one load.
    static SEAT: Cell<usize> = const { Cell::new(UNASKED) };
    static TAKEN_HERE: Seat = Seat::take();
}

/// This thread's seat, taken now where it was never asked for one.
fn seat() -> usize {
    if SEAT.get() == UNASKED {
        // A thread that ends has left its seat already.
        SEAT.set(TAKEN_HERE.try_with(|seat| seat.0).unwrap_or(STANDING));
    }
    SEAT.get()
}

struct Seat(usize);

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
        SEAT.set(STANDING); // what this thread still counts, it counts standing
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
        let cells = Cells::<2>::default();
        for _ in 0..3 {
            std::thread::scope(|scope| {
                for _ in 0..2 * SEATS {
                    scope.spawn(|| (0..500).for_each(|turn| cells.count(usize::from(turn % 5 == 0))));
                }
            });
        }
        assert_eq!((cells.sum(1), cells.sum(0)), (6 * SEATS as u64 * 100, 6 * SEATS as u64 * 400));
    }
}
