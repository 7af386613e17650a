//! Counts that order nothing: every access here is Relaxed, because statistics publish no other data.

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
    peak: AtomicU64,
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
        (current, self.peak.load(Relaxed).max(current))
    }
}
