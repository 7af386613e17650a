//! Statistics: what a manager has done and what it holds, under the names that the ecosystem's dashboards know.
//!
//! The keys are those of `torch.cuda.memory_stats`, where they mean something here; the rest begins with `freehold.`. A *segment* is
//! a region had from the device, an *allocation* a block that an entry has, *active* the same (a block whose memory a stream may
//! still be at work in is free here, and its next owner is put behind that stream). The small pool is of requests of at most
//! 1 MiB: a class of requests, for our regions serve both.

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

/// What was counted for the plugins of one name. (One that is used in several managers counts in all of them as one.)
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

impl Statistics {
    /// Takes off what was counted before a reset.
    pub(super) fn since(&mut self, before: &Statistics) {
        self.by_pool().zip(before.clone().by_pool()).for_each(|((_, now), (_, before))| now.since(before));
        self.num_alloc_retries -= before.num_alloc_retries;
        self.num_ooms -= before.num_ooms;
        self.num_device_alloc -= before.num_device_alloc;
        self.num_device_free -= before.num_device_free;
    }

    /// The quantities with PyTorch's names.
    pub(super) fn by_pool(&mut self) -> impl Iterator<Item = (&'static str, &mut ByPool)> {
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
}
