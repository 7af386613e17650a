//! Eight threads, a million operations each, every way to take, change and return a lease: afterwards all is there again, and at
//! no instant was more held than there is (P2, P5, P9, P12, H2). Not covered: order, which the twin checks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::thread;

use freehold_core::{Bytes, Fairness};
use freehold_cuda::MemoryPool;
use freehold_cuda::admission::Lease;

const TOTAL: u64 = 1 << 17;
const OPERATIONS: u64 = 1_000_000;

struct Worker<'p> {
    pool: &'p MemoryPool,
    held: &'p AtomicU64,
    lease: Lease<&'p MemoryPool>,
    random: u64,
}

impl Worker<'_> {
    fn step(&mut self) {
        self.random = self.random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let bytes = Bytes(1 << (self.random >> 60));
        match self.random >> 52 & 31 {
            0..10 => self.grow(bytes),
            10..13 => self.shrink(bytes),
            13..16 => self.part(bytes),
            16 => self.wait(bytes),
            _ => self.replace(bytes),
        }
    }

    fn grow(&mut self, bytes: Bytes) {
        if self.lease.try_grow(bytes).is_ok() {
            self.count(bytes);
        }
    }

    fn shrink(&mut self, bytes: Bytes) {
        let bytes = bytes.min(self.lease.nbytes());
        self.held.fetch_sub(bytes.get(), Relaxed);
        self.lease.shrink(bytes).unwrap();
    }

    fn part(&mut self, bytes: Bytes) {
        if let Ok(part) = self.lease.split(bytes) {
            assert_eq!(part.nbytes(), bytes);
            self.lease.merge(part).unwrap();
        }
    }

    /// Holding nothing, so that nobody waits for itself.
    fn wait(&mut self, bytes: Bytes) {
        self.release();
        self.lease = self.pool.acquire(bytes).unwrap();
        self.count(bytes);
    }

    fn replace(&mut self, bytes: Bytes) {
        self.release();
        if let Ok(lease) = self.pool.try_acquire(bytes) {
            self.lease = lease;
            self.count(bytes);
        }
    }

    fn count(&self, bytes: Bytes) {
        let sum = self.held.fetch_add(bytes.get(), Relaxed) + bytes.get();
        assert!(sum <= TOTAL, "{sum} bytes are held");
    }

    fn release(&mut self) {
        self.held.fetch_sub(self.lease.nbytes().get(), Relaxed);
        self.lease.release();
        self.lease.release();
    }
}

fn run(fairness: Fairness, operations: u64) {
    let pool = MemoryPool::with_fairness(Bytes(TOTAL), fairness).unwrap();
    let held = AtomicU64::new(0);
    thread::scope(|scope| {
        for seed in 1..=8 {
            let (pool, held) = (&pool, &held);
            scope.spawn(move || {
                let lease = pool.try_acquire(0).unwrap();
                let mut worker = Worker { pool, held, lease, random: seed };
                (0..operations).for_each(|_| worker.step());
                worker.release();
            });
        }
        for _ in 0..50 {
            let seen = pool.statistics();
            assert!(seen.in_use_bytes <= seen.peak_bytes && seen.peak_bytes <= seen.total_bytes, "{seen:?}");
            thread::yield_now();
        }
    });
    let after = pool.statistics();
    assert_eq!((pool.available_bytes(), after.in_use_bytes, after.waiting), (Bytes(TOTAL), Bytes(0), 0));
    assert!(after.admissions > operations, "{after:?}");
}

#[test]
fn eight_million_operations_close_the_books() {
    run(Fairness::Fifo, OPERATIONS);
}

#[test]
fn so_they_do_under_the_other_policies() {
    run(Fairness::Barging, OPERATIONS / 10);
    run(Fairness::Priority { ageing: 8 }, OPERATIONS / 10);
}
