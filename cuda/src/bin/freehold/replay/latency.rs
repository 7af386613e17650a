//! How long calls took: histograms in nanoseconds, three digits exact, one a thread of ours and merged at the end.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use serde::Serialize;

/// The durations of one kind of call.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Latency {
        Latency(Histogram::new(3).expect("3 significant digits are between 0 and 5"))
    }

    /// Runs a call and notes how long it took; the two readings of the clock, some 30 ns, are part of it.
    pub(crate) fn time<T>(&mut self, call: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = call();
        self.note(begun.elapsed());
        result
    }

    /// Notes one duration.
    pub(crate) fn note(&mut self, took: Duration) {
        self.0 += u64::try_from(took.as_nanos()).unwrap_or(u64::MAX >> 1);
    }

    /// Adds what another thread saw.
    pub(crate) fn merge(&mut self, other: &Latency) {
        self.0 += &other.0;
    }

    pub(crate) fn tail(&self) -> Tail {
        let at = |quantile| self.0.value_at_quantile(quantile);
        Tail { p50: at(0.5), p99: at(0.99), p999: at(0.999), max: self.0.max() }
    }

    /// From how many nanoseconds on, and how many calls: four buckets to a doubling, those without a call left out.
    pub(crate) fn buckets(&self) -> Vec<(u64, u64)> {
        let mut buckets: Vec<(u64, u64)> = Vec::new();
        for step in self.0.iter_recorded() {
            let from = bucket(step.value_iterated_to());
            match buckets.last_mut() {
                Some(last) if last.0 == from => last.1 += step.count_at_value(),
                _ => buckets.push((from, step.count_at_value())),
            }
        }
        buckets
    }

    pub(crate) fn waits(&self) -> Waits {
        let Tail { p50, p99, max, .. } = self.tail();
        Waits { p50, p99, max }
    }
}

/// Percentiles in nanoseconds; all 0 where there was no call.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Tail {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) max: u64,
}

/// Percentiles of the waits for admission, in nanoseconds.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Waits {
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) max: u64,
}

/// Where the bucket of a duration begins: its doubling, and in it its quarter.
fn bucket(ns: u64) -> u64 {
    let doubling = ns.max(4).ilog2();
    ns >> (doubling - 2) << (doubling - 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_quarters_of_a_doubling_and_lose_no_call() {
        assert_eq!(
            [0, 3, 4, 5, 8, 9, 10, 1023, 1024, 1279, 1280].map(bucket),
            [0, 3, 4, 5, 8, 8, 10, 896, 1024, 1024, 1280]
        );
        let mut latency = Latency::new();
        (0..1000).for_each(|ns| latency.note(Duration::from_nanos(ns * ns)));
        let buckets = latency.buckets();
        assert_eq!(buckets.iter().map(|(_, count)| count).sum::<u64>(), 1000);
        assert!(buckets.is_sorted_by(|a, b| a.0 < b.0));
    }
}
