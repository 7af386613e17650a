//! How a manager is described before it exists.

use crate::arenas::Arenas;
use crate::budget::Budget;
use crate::clock::{AnyClock, Clock};
use crate::error::Error;
use crate::floor::Floor;
use crate::fork;
use crate::inner::{Inner, Traffic};
use crate::manager::VramManager;
use crate::memory::{DeviceMemory, HostDevice};
use crate::observe::EventLog;
use crate::observe::observed::Observed;
use crate::observer::Observer;
use crate::plugin::{Plugin, Tally};
use crate::policy::Policy;
use crate::prefetch::Prefetcher;
use crate::spill::SpillStore;
use crate::weights::Register;
use crossbeam_utils::CachePadded;
use freehold_core::{Bytes, Geometry, Table};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

/// A manager to be. Only the budget has no default.
#[derive(Debug)]
#[must_use]
pub struct VramManagerBuilder {
    device: Option<Arc<dyn DeviceMemory>>,
    budget: Bytes,
    granule: Bytes,
    arena: Option<Bytes>,
    spill_budget: Bytes,
    moves: bool,
    policy: Policy,
    floor: Floor,
    ahead: Bytes,
    clock: Option<Arc<dyn Clock>>,
    observer: Option<Arc<dyn Observer>>,
    log_records: Option<usize>,
}

impl VramManagerBuilder {
    pub(crate) fn new() -> Self {
        VramManagerBuilder {
            device: None,
            budget: Bytes::ZERO,
            granule: Bytes(512),
            arena: None,
            spill_budget: Bytes(u64::MAX),
            moves: true,
            policy: Policy::default(),
            floor: Floor::default(),
            ahead: Bytes::ZERO,
            clock: None,
            observer: None,
            log_records: None,
        }
    }

    /// The memory to manage; ordinary memory where nothing is said.
    pub fn device(mut self, device: Arc<dyn DeviceMemory>) -> Self {
        self.device = Some(device);
        self
    }

    /// The bytes that may be resident at once, rounded down to whole granules.
    pub fn budget(mut self, bytes: Bytes) -> Self {
        self.budget = bytes;
        self
    }

    /// The smallest unit of memory, 512 bytes where nothing is said. Every block starts at a multiple of it.
    pub fn granule(mut self, bytes: Bytes) -> Self {
        self.granule = bytes;
        self
    }

    /// What an arena is made of: arenas then come one by one as they are needed, up to the budget, and a request larger than
    /// this gets its own. Where nothing is said there is one arena of the whole budget, which packs tightest.
    pub fn arena_bytes(mut self, bytes: Bytes) -> Self {
        self.arena = Some(bytes);
        self
    }

    /// How much host memory may hold what evictions write out: entries without a source, and those written to since they
    /// came. What does not fit is not evictable. Where nothing is said, there is no limit.
    pub fn spill_budget(mut self, bytes: Bytes) -> Self {
        self.spill_budget = bytes;
        self
    }

    /// Whether blocks that nobody uses may be moved inside their arena, so that free pieces become one before anybody is
    /// evicted for want of a hole. Yes, where nothing is said.
    pub fn moves(mut self, moves: bool) -> Self {
        self.moves = moves;
        self
    }

    /// Who leaves first among entries of one priority: the least recently used, where nothing is said.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Whether a request may evict who ranks higher than it does: it may, where nothing is said.
    pub fn floor(mut self, floor: Floor) -> Self {
        self.floor = floor;
        self
    }

    /// Under [`Policy::PriorityNextUse`], brings what comes next before it is asked for, `bytes` of it at a time, on the
    /// manager's one thread for prefetches: after every access that had to wait, and after the first use of what was so
    /// brought. As [`prefetch_next`](VramManager::prefetch_next); none, where nothing is said.
    pub fn prefetch_ahead(mut self, bytes: Bytes) -> Self {
        self.ahead = bytes;
        self
    }

    /// The clock by which last use is told.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Somebody who is told of loads, evictions, moves and refusals.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = Some(observer);
        self
    }

    /// Keeps a log of the last `records` things that happened, rounded up to a power of two, 64 bytes each. Off where nothing is
    /// said. A request and its end are some four records; a label takes one for each 40 bytes. More than 2^26 records, 4 GiB, are
    /// taken for so many.
    pub fn event_log(mut self, records: usize) -> Self {
        self.log_records = Some(records.min(1 << 26));
        self
    }

    /// The manager. Its first arena is had from the device at once where nothing was said about arenas; otherwise they come
    /// as they are needed.
    ///
    /// # Errors
    /// [`Error::BadAllocation`] for a budget of less than one granule; the device's refusal of the arena.
    pub fn build(self) -> Result<VramManager, Error> {
        let geometry = Geometry::new(self.budget, self.granule).map_err(|_| {
            Error::BadAllocation("a manager's budget is at least one granule, and a granule at least one byte")
        })?;
        let budget = geometry.capacity();
        let log = self.log_records.map(|records| Arc::new(EventLog::new(records, self.granule.get())));
        let nobody = Plugin::new("");
        let device = self.device.unwrap_or_else(|| Arc::new(HostDevice::new()));
        let arenas = Arenas::new(
            Arc::clone(&device),
            self.granule,
            self.arena.map_or(budget, |bytes| bytes.min(budget)),
            log.clone(),
        );
        if self.arena.is_none() {
            arenas.first(budget)?;
        }
        let traffic = Traffic { budget: Budget::new(budget), searches: AtomicU64::new(0), tally: Tally::default() };
        let inner = Inner {
            device,
            traffic: CachePadded::new(traffic),
            spill: SpillStore::new(self.spill_budget),
            arenas,
            granule: self.granule,
            table: Table::new(crossbeam_epoch::default_collector().clone()),
            weights: Register::default(),
            room: Mutex::new(()),
            freed: event_listener::Event::new(),
            hidden: AtomicBool::new(false),
            waiting: AtomicUsize::new(0),
            prefetcher: Prefetcher::default(),
            moves: self.moves,
            policy: self.policy,
            floor: self.floor,
            ahead: self.ahead,
            clock: AnyClock::new(self.clock),
            observer: self.observer,
            observed: Observed::new(log, &nobody),
            nobody,
            closed: AtomicBool::new(false),
            forks: fork::generation(),
        };
        Ok(VramManager::from_inner(inner))
    }
}
