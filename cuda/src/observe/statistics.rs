//! Statistics: what a manager has done and what it holds, under the names that the ecosystem's dashboards know.
//!
//! The keys are those of `torch.cuda.memory_stats`, where they mean something here; the rest begins with `freehold.`. A *segment* is
//! a region had from the device, an *allocation* a block that an entry has, *active* the same (a block whose memory a stream may
//! still be at work in is free here, and its next owner is put behind that stream). The small pool is of requests of at most
//! 1 MiB: a class of requests, for our regions serve both.

use super::observed::{BACK, BACK_BYTES, BACK_REQUESTED, GIVEN, GIVEN_BYTES, GIVEN_REQUESTED, Observed};
use crate::inner::Inner;
use crate::manager::VramManager;
use crate::plugin::Stats;
use freehold_core::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One quantity, as `torch.cuda.memory_stats` tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Quantity {
    /// Now.
    pub current: u64,
    /// The most there was since the last reset.
    pub peak: u64,
    /// All that came, since the last reset.
    pub allocated: u64,
    /// All that went.
    pub freed: u64,
}

/// A quantity of all requests, and of the large and the small ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ByPool {
    /// Of all.
    pub all: Quantity,
    /// Of requests above 1 MiB. Regions count here.
    pub large_pool: Quantity,
    /// Of requests of at most 1 MiB.
    pub small_pool: Quantity,
}

/// What a manager has done and what it holds: [`VramManager::statistics`](crate::VramManager::statistics).
///
/// **What is exact.** While nobody else uses the manager, everything but some peaks. While others do, every count was true at some moment of the
/// call, each at its own. The peaks of `allocated_bytes.all`, `active_bytes.all`, `segment` and `reserved_bytes` are exact; all
/// others are the most that was seen when statistics were read or room was made. Of `inactive_split` nobody counts comings and
/// goings: they are what changed from one reading to the next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Statistics {
    /// Blocks that entries have.
    pub allocation: ByPool,
    /// Regions had from the device.
    pub segment: ByPool,
    /// As `allocation`.
    pub active: ByPool,
    /// Free pieces of regions in which something lies.
    pub inactive_split: ByPool,
    /// Bytes of those blocks, in whole granules.
    pub allocated_bytes: ByPool,
    /// Bytes of those regions.
    pub reserved_bytes: ByPool,
    /// As `allocated_bytes`.
    pub active_bytes: ByPool,
    /// Bytes of those pieces.
    pub inactive_split_bytes: ByPool,
    /// Bytes of those blocks, as asked for.
    pub requested_bytes: ByPool,
    /// How often the device refused a region that the budget allowed; room was made instead.
    pub num_alloc_retries: u64,
    /// Requests that found no room.
    pub num_ooms: u64,
    /// Regions that came.
    pub num_device_alloc: u64,
    /// Regions that went.
    pub num_device_free: u64,
    /// Loads, evictions, moves, refusals, spills: see [`Stats`]. Never reset.
    pub totals: Stats,
    /// Accesses that found their entry there.
    pub hits: u64,
    /// Accesses that found it absent or on its way.
    pub misses: u64,
    /// Who is where.
    pub residency: Residents,
    /// The budget.
    pub admission: Headroom,
    /// By plugin name.
    pub plugins: Vec<PluginStatistics>,
    /// By priority, lowest first.
    pub priorities: Vec<PriorityStatistics>,
}

/// Entries and their bytes as asked for, by where they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Residents {
    /// On the card and unused.
    pub resident: Share,
    /// On the card and pinned.
    pub pinned: Share,
    /// On their way in.
    pub materialising: Share,
    /// On their way out, or to another place.
    pub evicting: Share,
    /// Not on the card.
    pub absent: Share,
    /// Of those, the ones whose bytes an eviction wrote out.
    pub spilled: Share,
    /// Of all, the ones that never leave.
    pub fixed: Share,
    /// Of all, the ones that several consumers share.
    pub shared: Share,
}

/// A number of entries, and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Share {
    /// How many.
    pub entries: u64,
    /// Their bytes as asked for.
    pub bytes: u64,
}

/// What of the budget is free, and for whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Headroom {
    /// What may be charged.
    pub budget: u64,
    /// What is charged.
    pub charged: u64,
    /// What reservations hold, used or not.
    pub set_aside: u64,
    /// What is lent to somebody outside.
    pub lent: u64,
    /// Requests that wait for memory.
    pub waiting: u64,
}

/// What was counted for the plugins of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PluginStatistics {
    /// The name.
    pub name: Arc<str>,
    /// Loads, evictions, moves, refusals, spills, resident bytes. (Peaks of several plugins of a name are added up.)
    pub stats: Stats,
    /// Accesses that found their entry there.
    pub hits: u64,
}

/// What was done at one priority, and what is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PriorityStatistics {
    /// The priority.
    pub priority: i32,
    /// Entries that have it now, and their bytes.
    pub entries: Share,
    /// Of those, what is on the card.
    pub resident: Share,
    /// Contents brought while they had it.
    pub loads: u64,
    /// Bytes of those.
    pub load_bytes: u64,
    /// Entries that left while they had it.
    pub evictions: u64,
    /// Bytes of those.
    pub evicted_bytes: u64,
    /// Blocks moved while they had it.
    pub moves: u64,
    /// Bytes of those.
    pub moved_bytes: u64,
}

impl Share {
    pub(crate) fn add(&mut self, bytes: Bytes) {
        self.entries += 1;
        self.bytes += bytes.get();
    }
}

/// Quantities that have a mark each: all, large, small of six of them.
const MARKED: usize = 5;

/// Peaks as they were seen, and where the counts stood at the last reset.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    peaks: [[u64; 3]; MARKED],
    accumulated: Option<Box<Statistics>>,
    /// What was counted of `inactive_split` and its bytes from one reading to the next.
    splits: [Quantity; 2],
}

/// The places of quantities in `Marks::peaks`.
const ALLOCATION: usize = 0;
const ALLOCATED: usize = 1;
const REQUESTED: usize = 2;
const SPLIT: usize = 3;
const SPLIT_BYTES: usize = 4;

/// A quantity whose two counts only grow.
fn counted([large_in, small_in]: [u64; 2], [large_out, small_out]: [u64; 2]) -> ByPool {
    let quantity = |allocated: u64, freed: u64| {
        // What goes was read before what comes, so the difference is never negative but by what is counted meanwhile.
        Quantity { current: allocated.saturating_sub(freed), peak: 0, allocated, freed }
    };
    ByPool {
        all: quantity(large_in + small_in, large_out + small_out),
        large_pool: quantity(large_in, large_out),
        small_pool: quantity(small_in, small_out),
    }
}

impl Observed {
    fn counted(&self, given: usize, back: usize) -> ByPool {
        let [small_out, large_out] = self.blocks(back);
        let [small_in, large_in] = self.blocks(given);
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

    fn since(&mut self, before: &ByPool) {
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
        inner.tally.resident.restart_peak();
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
    exact.peak = inner.tally.resident.peak_since_restart().max(exact.current);
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
    statistics.totals = inner.tally.read();
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

impl Statistics {
    /// Takes off what was counted before a reset.
    fn since(&mut self, before: &Statistics) {
        self.by_pool().zip(before.clone().by_pool()).for_each(|((_, now), (_, before))| now.since(before));
        self.num_alloc_retries -= before.num_alloc_retries;
        self.num_ooms -= before.num_ooms;
        self.num_device_alloc -= before.num_device_alloc;
        self.num_device_free -= before.num_device_free;
    }

    /// The quantities with PyTorch's names.
    fn by_pool(&mut self) -> impl Iterator<Item = (&'static str, &mut ByPool)> {
        let Statistics { allocation, segment, active, inactive_split, .. } = self;
        let Statistics { allocated_bytes, reserved_bytes, active_bytes, inactive_split_bytes, requested_bytes, .. } =
            self;
        [
            ("allocation", allocation),
            ("segment", segment),
            ("active", active),
            ("inactive_split", inactive_split),
            ("allocated_bytes", allocated_bytes),
            ("reserved_bytes", reserved_bytes),
            ("active_bytes", active_bytes),
            ("inactive_split_bytes", inactive_split_bytes),
            ("requested_bytes", requested_bytes),
        ]
        .into_iter()
    }

    /// Every number under its key: those of `torch.cuda.memory_stats`, then those that begin with `freehold.`.
    #[must_use]
    pub fn flat(&self) -> BTreeMap<String, i64> {
        super::flat::flat(self.clone())
    }

    /// The same as one JSON object.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(&self.flat()).expect("numbers under names")
    }

    pub(super) fn torch_quantities(&mut self) -> impl Iterator<Item = (&'static str, &mut ByPool)> {
        self.by_pool()
    }
}
