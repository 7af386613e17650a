//! Collecting statistics: sums of what was counted, a census of what was not, and the marks by which peaks and resets are told.

use super::observed::{BACK, BACK_BYTES, BACK_REQUESTED, GIVEN, GIVEN_BYTES, GIVEN_REQUESTED, Observed};
use super::statistics::{ByPool, PluginStatistics, Quantity, Statistics};
use crate::inner::Inner;
use crate::manager::VramManager;

/// Quantities that have marks: of all requests, the large and the small.
const MARKED: usize = 5;

/// Peaks as they were seen, and where the counts stood at the last reset.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    peaks: [[u64; 3]; MARKED],
    accumulated: Option<Box<Statistics>>,
    /// What was counted of `inactive_split` and its bytes from one reading to the next.
    splits: [Quantity; 2],
}

/// Their places in `Marks::peaks`.
const ALLOCATION: usize = 0;
const ALLOCATED: usize = 1;
const REQUESTED: usize = 2;
const SPLIT: usize = 3;
const SPLIT_BYTES: usize = 4;

/// A quantity whose two counts only grow.
fn counted([large_in, small_in]: [u64; 2], [large_out, small_out]: [u64; 2]) -> ByPool {
    let quantity = |allocated: u64, freed: u64| {
        // What comes was read before what goes: what is counted meanwhile makes the difference less than there was, never
        // more, however long the reader is stopped in between. So no peak is invented.
        let freed = freed.min(allocated);
        Quantity { current: allocated - freed, peak: 0, allocated, freed }
    };
    ByPool {
        all: quantity(large_in + small_in, large_out + small_out),
        large_pool: quantity(large_in, large_out),
        small_pool: quantity(small_in, small_out),
    }
}

impl Observed {
    fn counted(&self, given: usize, back: usize) -> ByPool {
        let [small_in, large_in] = self.blocks(given);
        let [small_out, large_out] = self.blocks(back);
        counted([large_in, small_in], [large_out, small_out])
    }

    /// The three quantities of blocks.
    fn of_blocks(&self) -> [ByPool; 3] {
        [(GIVEN, BACK), (GIVEN_BYTES, BACK_BYTES), (GIVEN_REQUESTED, BACK_REQUESTED)]
            .map(|(given, back)| self.counted(given, back))
    }

    /// Looks at what there is, for the peaks that nobody counts. Called when room is made.
    pub(crate) fn look(&self) {
        let quantities = self.of_blocks();
        let marks = &mut *self.marks.lock();
        for (peaks, quantity) in marks.peaks.iter_mut().zip(quantities) {
            mark(peaks, &quantity);
        }
    }
}

/// Raises the peaks to what is there now.
fn mark(peaks: &mut [u64; 3], quantity: &ByPool) {
    let now = [quantity.all.current, quantity.large_pool.current, quantity.small_pool.current];
    peaks.iter_mut().zip(now).for_each(|(peak, now)| *peak = now.max(*peak));
}

impl ByPool {
    fn peaked(mut self, peaks: &mut [u64; 3]) -> ByPool {
        mark(peaks, &self);
        [self.all.peak, self.large_pool.peak, self.small_pool.peak] = *peaks;
        self
    }

    /// What only the regions have: everything is in the large pool.
    fn large(all: Quantity) -> ByPool {
        ByPool { all, large_pool: all, small_pool: Quantity::default() }
    }

    pub(super) fn since(&mut self, before: &ByPool) {
        let both = [
            (&mut self.all, &before.all),
            (&mut self.large_pool, &before.large_pool),
            (&mut self.small_pool, &before.small_pool),
        ];
        for (now, before) in both {
            now.allocated -= before.allocated.min(now.allocated);
            now.freed -= before.freed.min(now.freed);
        }
    }
}

impl VramManager {
    /// What the manager has done and what it holds, in the ecosystem's terms. Asking is no use of anything (B4).
    ///
    /// **Complexity**: a scan of the table and of the free pieces: for a dashboard, not for a hot path. [`stats`](Self::stats)
    /// is a few loads.
    ///
    /// ```
    /// use freehold_cuda::{Allocation, Bytes, VramManager};
    ///
    /// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
    /// let _block = manager.allocate(Allocation::new(Bytes(5000)).fixed())?;
    /// let statistics = manager.statistics();
    /// assert_eq!(statistics.allocated_bytes.all.current, 5120); // whole granules
    /// let flat = statistics.flat(); // the keys of torch.cuda.memory_stats
    /// assert_eq!((flat["requested_bytes.all.current"], flat["segment.all.current"]), (5000, 1));
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let inner = self.inner();
        let mut statistics = collect(inner);
        if let Some(before) = &inner.observed.marks.lock().accumulated {
            statistics.since(before);
        }
        statistics
    }

    /// Lets every peak begin anew at what is there now, as `torch.cuda.reset_peak_memory_stats`. The peak in
    /// [`stats`](Self::stats) is of all time, and stays.
    pub fn reset_peak_statistics(&self) {
        let inner = self.inner();
        inner.traffic.tally.resident.restart_peak();
        inner.arenas.regions.restart_peaks();
        inner.observed.marks.lock().peaks = Default::default();
        inner.observed.look();
    }

    /// Lets what came and went begin anew at nothing, as `torch.cuda.reset_accumulated_memory_stats`: `allocated`, `freed`,
    /// and the numbers of retries, refusals and regions. Nothing that begins with `freehold.` does.
    pub fn reset_accumulated_statistics(&self) {
        let now = collect(self.inner());
        self.inner().observed.marks.lock().accumulated = Some(Box::new(now));
    }
}

fn collect(inner: &Inner) -> Statistics {
    let mut statistics = Statistics::default();
    super::census::count(inner, &mut statistics);
    let regions = &inner.arenas.regions;
    let marks = &mut *inner.observed.marks.lock();
    let [allocation, allocated_bytes, requested_bytes] = inner.observed.of_blocks();
    statistics.allocation = allocation.peaked(&mut marks.peaks[ALLOCATION]);
    statistics.allocated_bytes = allocated_bytes.peaked(&mut marks.peaks[ALLOCATED]);
    statistics.requested_bytes = requested_bytes.peaked(&mut marks.peaks[REQUESTED]);
    // The gauge sees every block, also between two readings.
    let exact = &mut statistics.allocated_bytes.all;
    exact.peak = inner.traffic.tally.resident.peak_since_restart().max(exact.current);
    (statistics.active, statistics.active_bytes) = (statistics.allocation, statistics.allocated_bytes);
    statistics.segment = ByPool::large(regions.number.quantity());
    statistics.reserved_bytes = ByPool::large(regions.bytes.quantity());
    let splits = [&mut statistics.inactive_split, &mut statistics.inactive_split_bytes];
    for (nth, split) in splits.into_iter().enumerate() {
        marks.splits[nth].now(split.all.current);
        *split = ByPool::large(marks.splits[nth]).peaked(&mut marks.peaks[SPLIT + nth]);
    }
    const { assert!(SPLIT + 1 == SPLIT_BYTES && SPLIT_BYTES + 1 == MARKED) };
    statistics.num_alloc_retries = regions.refused.get();
    statistics.num_device_alloc = statistics.segment.all.allocated;
    statistics.num_device_free = statistics.segment.all.freed;
    statistics.totals = inner.traffic.tally.read();
    statistics.num_ooms = statistics.totals.refusals;
    statistics.misses = inner.observed.misses.get();
    for (name, (stats, hits)) in inner.observed.roster.by_name() {
        statistics.hits += hits;
        statistics.plugins.push(PluginStatistics { name, stats, hits });
    }
    statistics
}

impl Quantity {
    /// Something that nobody counts is so much now.
    fn now(&mut self, current: u64) {
        self.allocated += current.saturating_sub(self.current);
        self.freed += self.current.saturating_sub(current);
        self.current = current;
    }
}
