//! Counts that order nothing: every access here is Relaxed, because statistics publish no other data.

use crate::observe::log::{EventLog, Op};
use crate::observe::statistics::Quantity;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A count that only grows.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, amount: u64) {
        self.0.fetch_add(amount, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Bytes that come and go, with the highest level they ever reached.
#[derive(Debug, Default)]
pub(crate) struct ResidentGauge {
    current: AtomicU64,
    /// The highest since the last restart.
    peak: AtomicU64,
    /// The highest before.
    earlier: AtomicU64,
}

impl ResidentGauge {
    pub(crate) fn add(&self, amount: u64) {
        let now = self.current.fetch_add(amount, Relaxed) + amount;
        // The peak's line is written only where it is exceeded: in a steady state it stays shared.
        if now > self.peak.load(Relaxed) {
            self.peak.fetch_max(now, Relaxed);
        }
    }

    pub(crate) fn sub(&self, amount: u64) {
        self.current.fetch_sub(amount, Relaxed);
    }

    /// Current and peak, the peak never below the current (H2): a level seen before its peak is written counts as one.
    pub(crate) fn read(&self) -> (u64, u64) {
        let current = self.current.load(Relaxed);
        (current, self.peak.load(Relaxed).max(self.earlier.load(Relaxed)).max(current))
    }

    /// The highest since the last restart.
    pub(crate) fn peak_since_restart(&self) -> u64 {
        self.peak.load(Relaxed).max(self.current.load(Relaxed))
    }

    /// Lets the peak begin anew at the current level. Exact while nobody adds.
    pub(crate) fn restart_peak(&self) {
        let current = self.current.load(Relaxed);
        self.earlier.fetch_max(self.peak.swap(current, Relaxed), Relaxed);
    }
}

/// Something of which the device gives and takes back: how much there is, and all that ever came.
#[derive(Debug, Default)]
pub(crate) struct Flow {
    level: ResidentGauge,
    came: Counter,
}

impl Flow {
    fn add(&self, amount: u64) {
        self.came.add(amount);
        self.level.add(amount);
    }

    pub(crate) fn quantity(&self) -> Quantity {
        let (current, allocated) = (self.level.current.load(Relaxed), self.came.get());
        Quantity { current, peak: self.level.peak_since_restart(), allocated, freed: allocated.saturating_sub(current) }
    }
}

/// The regions of a manager.
#[derive(Debug, Default)]
pub(crate) struct Regions {
    pub(crate) number: Flow,
    pub(crate) bytes: Flow,
    /// How often the device refused one that the budget allowed.
    pub(crate) refused: Counter,
    pub(crate) log: Option<Arc<EventLog>>,
}

impl Regions {
    /// A region came from the device.
    pub(crate) fn came(&self, address: u64, bytes: u64) {
        self.number.add(1);
        self.bytes.add(bytes);
        self.note(Op::RegionCame, address, bytes);
    }

    /// A region goes back to it.
    pub(crate) fn went(&self, address: u64, bytes: u64) {
        self.note(Op::RegionWent, address, bytes);
        self.number.level.sub(1);
        self.bytes.level.sub(bytes);
    }

    fn note(&self, op: Op, address: u64, bytes: u64) {
        tracing::debug!(?op, address, bytes, "a region");
        if let Some(log) = &self.log {
            log.note(op, 0, 0, [bytes, address, 0]);
        }
    }

    pub(crate) fn restart_peaks(&self) {
        self.number.level.restart_peak();
        self.bytes.level.restart_peak();
    }
}
