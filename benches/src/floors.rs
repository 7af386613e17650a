//! The floors: what it costs at least to take bytes and give them back, when all there is to keep is a count.
//!
//! They hand out no place. Each refuses what the arena does not have, so that a workload keeps its occupancy on them too.
//! A thread has a counter of its own, with an equal part of the arena, but for the mutex, which all share.

use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;
use parking_lot::Mutex;

use crate::contender::{Allocator, Contender, Shape};

/// Counters that threads may have.
const SEATS: usize = 64;

/// Load and compare-exchange to take, the same to give back: **the** floor of the tables.
#[derive(Debug)]
pub struct LoadCas(Box<[CachePadded<AtomicU64>]>);

/// `fetch_sub` to take, `fetch_add` to give back. It cannot refuse, and is a floor for nothing that can.
#[derive(Debug)]
pub struct FetchAdd(Box<[CachePadded<AtomicU64>]>);

/// A count behind a `parking_lot` mutex, that all threads share.
#[derive(Debug)]
pub struct MutexPair(Mutex<u64>);

/// Nothing at all: what the measurement itself costs.
#[derive(Debug)]
pub struct Nothing;

fn counters(shape: Shape) -> Box<[CachePadded<AtomicU64>]> {
    (0..SEATS).map(|_| CachePadded::new(AtomicU64::new(shape.arena))).collect()
}

impl Contender for LoadCas {
    type Block = u64;
    type Seat<'a> = LoadCasSeat<'a>;
    const NAME: &str = "floor: load+CAS";

    fn new(shape: Shape) -> Self {
        LoadCas(counters(shape))
    }

    fn seat(&self, thread: usize) -> LoadCasSeat<'_> {
        LoadCasSeat(&self.0[thread % SEATS])
    }
}

/// One thread's counter.
#[derive(Debug)]
pub struct LoadCasSeat<'a>(&'a AtomicU64);

impl LoadCasSeat<'_> {
    /// Bounded: nobody else writes this counter.
    #[inline]
    fn step(&self, change: impl Fn(u64) -> Option<u64>) -> bool {
        let seen = self.0.load(Ordering::Relaxed);
        let Some(next) = change(seen) else { return false };
        self.0.compare_exchange(seen, next, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}

impl Allocator for LoadCasSeat<'_> {
    type Block = u64;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<u64> {
        self.step(|free| free.checked_sub(bytes)).then_some(bytes)
    }

    #[inline]
    fn free(&mut self, block: u64) {
        assert!(self.step(|free| Some(free + block)));
    }

    fn offset(&self, _: &u64) -> Option<u64> {
        None
    }
}

impl Contender for FetchAdd {
    type Block = u64;
    type Seat<'a> = FetchAddSeat<'a>;
    const NAME: &str = "floor: fetch_add";

    fn new(shape: Shape) -> Self {
        FetchAdd(counters(shape))
    }

    fn seat(&self, thread: usize) -> FetchAddSeat<'_> {
        FetchAddSeat(&self.0[thread % SEATS])
    }
}

/// One thread's counter.
#[derive(Debug)]
pub struct FetchAddSeat<'a>(&'a AtomicU64);

impl Allocator for FetchAddSeat<'_> {
    type Block = u64;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<u64> {
        black_box(self.0.fetch_sub(bytes, Ordering::AcqRel));
        Some(bytes)
    }

    #[inline]
    fn free(&mut self, block: u64) {
        black_box(self.0.fetch_add(block, Ordering::AcqRel));
    }

    fn offset(&self, _: &u64) -> Option<u64> {
        None
    }
}

impl Contender for MutexPair {
    type Block = u64;
    type Seat<'a> = &'a MutexPair;
    const NAME: &str = "floor: mutex";

    fn new(shape: Shape) -> Self {
        MutexPair(Mutex::new(shape.arena))
    }

    fn seat(&self, _: usize) -> &MutexPair {
        self
    }
}

impl Allocator for &MutexPair {
    type Block = u64;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<u64> {
        let mut free = self.0.lock();
        *free = free.checked_sub(bytes)?;
        Some(bytes)
    }

    #[inline]
    fn free(&mut self, block: u64) {
        *self.0.lock() += block;
    }

    fn offset(&self, _: &u64) -> Option<u64> {
        None
    }
}

impl Contender for Nothing {
    type Block = u64;
    type Seat<'a> = Nothing;
    const NAME: &str = "nothing";

    fn new(_: Shape) -> Self {
        Nothing
    }

    fn seat(&self, _: usize) -> Nothing {
        Nothing
    }
}

impl Allocator for Nothing {
    type Block = u64;

    #[inline]
    fn allocate(&mut self, bytes: u64) -> Option<u64> {
        Some(black_box(bytes))
    }

    #[inline]
    fn free(&mut self, block: u64) {
        black_box(block);
    }

    fn offset(&self, _: &u64) -> Option<u64> {
        None
    }
}
