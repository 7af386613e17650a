//! What one thread of ours has seen: durations, refusals, wrong bytes. Each has its own; they are merged at the end.

use super::latency::Latency;

/// As many wrong places as are worth a line each.
const COMPLAINTS: usize = 8;

/// Counts of one thread.
#[derive(Debug)]
pub(super) struct Meter {
    pub(super) wait: Latency,
    /// Those of the wait whose jobs asked for a quarter of the pool or more.
    pub(super) wait_large: Latency,
    pub(super) allocate: Latency,
    pub(super) access_resident: Latency,
    /// Those whose bytes had to be brought first.
    pub(super) access_absent: Latency,
    /// Events that got no memory.
    pub(super) refused: u64,
    /// Jobs larger than the admission pool.
    pub(super) too_large: u64,
    /// Checks that found a wrong byte, and calls that failed and must not.
    pub(super) mismatches: u64,
    /// Tensors looked at, and bytes compared.
    pub(super) checks: u64,
    pub(super) checked_bytes: u64,
    /// The first few mismatches, in words.
    pub(super) complaints: Vec<String>,
    /// Where bytes are put that the host cannot look at in place.
    pub(super) scratch: Vec<u8>,
}

impl Meter {
    pub(super) fn new() -> Meter {
        Meter {
            wait: Latency::new(),
            wait_large: Latency::new(),
            allocate: Latency::new(),
            access_resident: Latency::new(),
            access_absent: Latency::new(),
            refused: 0,
            too_large: 0,
            mismatches: 0,
            checks: 0,
            checked_bytes: 0,
            complaints: Vec::new(),
            scratch: Vec::new(),
        }
    }

    /// Something is wrong that must never be.
    pub(super) fn mismatch(&mut self, complaint: impl FnOnce() -> String) {
        self.mismatches += 1;
        if self.complaints.len() < COMPLAINTS {
            self.complaints.push(complaint());
        }
    }

    /// Adds what another thread has seen.
    pub(super) fn merge(&mut self, other: Meter) {
        self.wait.merge(&other.wait);
        self.wait_large.merge(&other.wait_large);
        self.allocate.merge(&other.allocate);
        self.access_resident.merge(&other.access_resident);
        self.access_absent.merge(&other.access_absent);
        self.refused += other.refused;
        self.too_large += other.too_large;
        self.mismatches += other.mismatches;
        self.checks += other.checks;
        self.checked_bytes += other.checked_bytes;
        let room = COMPLAINTS - self.complaints.len();
        self.complaints.extend(other.complaints.into_iter().take(room));
    }
}
