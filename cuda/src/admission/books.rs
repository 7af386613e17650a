//! What happened so far: admissions, refusals, waits, and how much the leased bytes were really used.
//!
//! Each thread counts in a cell of its own (`seat.rs`). Only the making of a label takes a mutex.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use freehold_core::Bytes;
use parking_lot::Mutex;

use crate::seat::Cells;

// Relaxed throughout: these numbers publish nothing and decide nothing.
#[derive(Default)]
pub(super) struct Books {
    /// Refusals and admissions.
    tally: Cells<2>,
    longest_wait_ns: AtomicU64,
    unlabelled: LabelBook,
    labels: Mutex<BTreeMap<String, Label>>,
}

/// A name under which leases note what they really used, from [`MemoryPool::label`](super::MemoryPool::label).
#[derive(Clone, Debug)]
pub struct Label(Arc<LabelBook>);

#[derive(Debug, Default)]
struct LabelBook {
    observations: AtomicU64,
    undercharged: AtomicU64,
    leased_bytes: AtomicU64,
    observed_bytes: AtomicU64,
    worst_excess_bytes: AtomicU64,
}

/// What a pool has seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStatistics {
    /// All the bytes that the pool can lease.
    pub total_bytes: Bytes,
    /// The bytes that are leased.
    pub in_use_bytes: Bytes,
    /// The most bytes that were ever leased at once.
    pub peak_bytes: Bytes,
    /// How many wait.
    pub waiting: u64,
    /// For how many bytes they wait.
    pub waiting_bytes: Bytes,
    /// The longest wait that has ended, whether served or not (one that was dropped does not count).
    pub longest_wait: Duration,
    /// How many requests were granted, growing a lease included.
    pub admissions: u64,
    /// How many requests ended in an error.
    pub refusals: u64,
    /// Leased against observed bytes: first of leases without a label (its name is empty) if any, then label by label.
    pub labels: Vec<LabelStatistics>,
}

/// What the leases of one label asked for and what they used, as far as they told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelStatistics {
    /// The label.
    pub name: String,
    /// How many leases told what they used.
    pub observations: u64,
    /// The sum of what those leases held.
    pub leased_bytes: Bytes,
    /// The sum of what their jobs used.
    pub observed_bytes: Bytes,
    /// How many used more than they held.
    pub undercharged: u64,
    /// By how much the worst of them exceeded its lease.
    pub worst_excess_bytes: Bytes,
}

impl Books {
    #[inline]
    pub(super) fn count(&self, admitted: bool) {
        self.tally.count(usize::from(admitted));
    }

    pub(super) fn note_wait(&self, waited: Duration) {
        let waited_ns = u64::try_from(waited.as_nanos()).unwrap_or(u64::MAX);
        self.longest_wait_ns.fetch_max(waited_ns, Relaxed);
    }

    pub(super) fn label(&self, name: &str) -> Label {
        self.labels.lock().entry(name.to_owned()).or_insert_with(|| Label(Arc::default())).clone()
    }

    pub(super) fn observe(&self, label: Option<&Label>, leased: Bytes, observed: Bytes) {
        label.map_or(&self.unlabelled, |label| &*label.0).observe(leased.get(), observed.get());
    }

    pub(super) fn statistics(&self, pool: &freehold_core::MemoryPool) -> PoolStatistics {
        let in_use_bytes = pool.leased_bytes();
        let (waiting, waiting_bytes) = pool.waiting();
        let unlabelled = (self.unlabelled.observations.load(Relaxed) > 0).then(|| self.unlabelled.read(""));
        let labels = self.labels.lock();
        PoolStatistics {
            total_bytes: pool.total_bytes(),
            in_use_bytes,
            peak_bytes: pool.peak_bytes().max(in_use_bytes),
            waiting,
            waiting_bytes,
            longest_wait: Duration::from_nanos(self.longest_wait_ns.load(Relaxed)),
            admissions: self.tally.sum(usize::from(true)),
            refusals: self.tally.sum(usize::from(false)),
            labels: unlabelled.into_iter().chain(labels.iter().map(|(name, label)| label.0.read(name))).collect(),
        }
    }
}

impl LabelBook {
    fn observe(&self, leased: u64, observed: u64) {
        self.observations.fetch_add(1, Relaxed);
        self.leased_bytes.fetch_add(leased, Relaxed);
        self.observed_bytes.fetch_add(observed, Relaxed);
        if observed > leased {
            self.undercharged.fetch_add(1, Relaxed);
            self.worst_excess_bytes.fetch_max(observed - leased, Relaxed);
        }
    }

    fn read(&self, name: &str) -> LabelStatistics {
        LabelStatistics {
            name: name.to_owned(),
            observations: self.observations.load(Relaxed),
            leased_bytes: Bytes(self.leased_bytes.load(Relaxed)),
            observed_bytes: Bytes(self.observed_bytes.load(Relaxed)),
            undercharged: self.undercharged.load(Relaxed),
            worst_excess_bytes: Bytes(self.worst_excess_bytes.load(Relaxed)),
        }
    }
}

impl fmt::Debug for Books {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Books").field("labels", &*self.labels.lock()).finish_non_exhaustive()
    }
}
