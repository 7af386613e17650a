//! A plugin is a name on the statistics: whoever holds handles.

use crate::counters::{Counter, ResidentGauge};
use crate::policy::Rhythm;
use crate::seat::Cells;
use freehold_core::Bytes;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A plugin's name and its part of the statistics. Clones are the same plugin.
#[derive(Clone, Debug)]
pub struct Plugin(Arc<Ledger>);

#[derive(Debug)]
struct Ledger {
    name: Arc<str>,
    /// A number of its own in the process.
    number: u32,
    /// Accesses that found their entry there.
    hits: Cells<1>,
    tally: Tally,
    /// Made by the first use that a policy learns from: whoever does not learn, pays nothing.
    rhythm: OnceLock<Rhythm>,
}

/// What is counted for a plugin, and for the manager as a whole.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) loads: Counter,
    pub(crate) load_bytes: Counter,
    pub(crate) prefetches: Counter,
    pub(crate) prefetched_bytes: Counter,
    pub(crate) evictions: Counter,
    pub(crate) evicted_bytes: Counter,
    pub(crate) moves: Counter,
    pub(crate) moved_bytes: Counter,
    pub(crate) refusals: Counter,
    pub(crate) spills: Counter,
    pub(crate) spilled: ResidentGauge,
    pub(crate) resident: ResidentGauge,
}

/// What has been counted so far. Counts only grow; `peak_resident_bytes` is never below `resident_bytes` (H2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Materialisations: contents brought from a source or from a spill.
    pub loads: u64,
    /// Bytes of those.
    pub load_bytes: u64,
    /// Those of the loads that came before anybody asked for the content; nobody waited for them.
    pub prefetches: u64,
    /// Bytes of those.
    pub prefetched_bytes: u64,
    /// Entries that lost their memory to make room.
    pub evictions: u64,
    /// Bytes of those.
    pub evicted_bytes: u64,
    /// Blocks moved inside an arena.
    pub moves: u64,
    /// Bytes of those.
    pub moved_bytes: u64,
    /// Requests that found no room.
    pub refusals: u64,
    /// Evictions that had to write the content out to host memory.
    pub spills: u64,
    /// Bytes in host memory now that evictions wrote out.
    pub spilled_bytes: u64,
    /// The most of those there ever were at once.
    pub peak_spilled_bytes: u64,
    /// Bytes resident now, in whole granules.
    pub resident_bytes: u64,
    /// The most bytes that were ever resident at once, in whole granules.
    pub peak_resident_bytes: u64,
}

impl Stats {
    /// Adds what another of the same name has counted.
    pub(crate) fn merge(&mut self, other: &Stats) {
        self.loads += other.loads;
        self.load_bytes += other.load_bytes;
        self.evictions += other.evictions;
        self.evicted_bytes += other.evicted_bytes;
        self.moves += other.moves;
        self.moved_bytes += other.moved_bytes;
        self.refusals += other.refusals;
        self.spills += other.spills;
        self.spilled_bytes += other.spilled_bytes;
        self.peak_spilled_bytes += other.peak_spilled_bytes;
        self.resident_bytes += other.resident_bytes;
        self.peak_resident_bytes += other.peak_resident_bytes;
    }
}

impl Tally {
    pub(crate) fn loaded(&self, bytes: Bytes) {
        self.loads.add(1);
        self.load_bytes.add(bytes.get());
    }

    pub(crate) fn prefetched(&self, bytes: Bytes) {
        self.prefetches.add(1);
        self.prefetched_bytes.add(bytes.get());
    }

    pub(crate) fn evicted(&self, bytes: Bytes) {
        self.evictions.add(1);
        self.evicted_bytes.add(bytes.get());
    }

    pub(crate) fn spilled(&self, bytes: Bytes) {
        self.spills.add(1);
        self.spilled.add(bytes.get());
    }

    pub(crate) fn moved(&self, bytes: Bytes) {
        self.moves.add(1);
        self.moved_bytes.add(bytes.get());
    }

    pub(crate) fn read(&self) -> Stats {
        let (resident_bytes, peak_resident_bytes) = self.resident.read();
        let (spilled_bytes, peak_spilled_bytes) = self.spilled.read();
        Stats {
            loads: self.loads.get(),
            load_bytes: self.load_bytes.get(),
            prefetches: self.prefetches.get(),
            prefetched_bytes: self.prefetched_bytes.get(),
            evictions: self.evictions.get(),
            evicted_bytes: self.evicted_bytes.get(),
            moves: self.moves.get(),
            moved_bytes: self.moved_bytes.get(),
            refusals: self.refusals.get(),
            spills: self.spills.get(),
            spilled_bytes,
            peak_spilled_bytes,
            resident_bytes,
            peak_resident_bytes,
        }
    }
}

impl Plugin {
    pub(crate) fn new(name: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Relaxed); // Relaxed: a number that is given once
        let (hits, tally, rhythm) = (Cells::default(), Tally::default(), OnceLock::new());
        Plugin(Arc::new(Ledger { name: Arc::from(name), number, hits, tally, rhythm }))
    }

    /// The plugin's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.0.name)
    }

    pub(crate) fn number(&self) -> u32 {
        self.0.number
    }

    /// Whether nobody else has it.
    pub(crate) fn is_last(&self) -> bool {
        Arc::strong_count(&self.0) == 1
    }

    /// An access found its entry there. An owner's load and store: it hides behind the pin.
    #[inline]
    pub(crate) fn hit(&self) {
        self.0.hits.count(0);
    }

    pub(crate) fn hits(&self) -> u64 {
        self.0.hits.sum(0)
    }

    pub(crate) fn tally(&self) -> &Tally {
        &self.0.tally
    }

    /// What was learned of its uses, if anything.
    pub(crate) fn rhythm(&self) -> Option<&Rhythm> {
        self.0.rhythm.get()
    }

    pub(crate) fn learn(&self) -> &Rhythm {
        self.0.rhythm.get_or_init(Rhythm::new)
    }

    /// What has been counted for this plugin so far.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.0.tally.read()
    }
}
