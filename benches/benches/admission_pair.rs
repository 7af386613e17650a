//! Uncontended admission: take 4 KiB of 1 GiB and give them back, on one thread, beside the floor and its peers.
//!
//! The floor is what any lock-free counter costs: a load and a compare-exchange to take, and the same to give. Each contender
//! is asked first whether it refuses what does not fit.
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Condvar, Mutex};

use criterion::{Criterion, criterion_group, criterion_main};
use freehold_core::{Bytes, MemoryPool};

const TOTAL: u64 = 1 << 30;
const SIZE: u64 = 4096;

fn pair(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission_pair");

    let floor = AtomicU64::new(TOTAL);
    let step = |bytes: u64| {
        let seen = floor.load(Relaxed);
        floor.compare_exchange(seen, seen.wrapping_add(bytes), AcqRel, Relaxed).is_ok()
    };
    group.bench_function("floor_load_cas", |bencher| {
        bencher.iter(|| black_box(step(black_box(SIZE).wrapping_neg())) & black_box(step(black_box(SIZE))));
    });

    let pool = MemoryPool::new(Bytes(TOTAL)).unwrap();
    assert!(pool.try_acquire(TOTAL + 1).is_err());
    group.bench_function("freehold_core", |bencher| {
        bencher.iter(|| _ = black_box(&pool.try_acquire(black_box(SIZE)).unwrap()));
    });

    let pool = freehold_cuda::MemoryPool::new(Bytes(TOTAL)).unwrap();
    group.bench_function("freehold_cuda_with_books", |bencher| {
        bencher.iter(|| _ = black_box(&pool.try_acquire(black_box(SIZE)).unwrap()));
    });

    let counter = (Mutex::new(TOTAL), Condvar::new());
    group.bench_function("std_mutex_condvar", |bencher| {
        bencher.iter(|| {
            *counter.0.lock().unwrap() -= black_box(SIZE);
            *counter.0.lock().unwrap() += black_box(SIZE);
            counter.1.notify_all();
        });
    });

    let counter = (parking_lot::Mutex::new(TOTAL), parking_lot::Condvar::new());
    group.bench_function("parking_lot", |bencher| {
        bencher.iter(|| {
            *counter.0.lock() -= black_box(SIZE);
            *counter.0.lock() += black_box(SIZE);
            counter.1.notify_all();
        });
    });

    // tokio counts permits in 32 bits: one permit is a KiB here.
    let semaphore = tokio::sync::Semaphore::new((TOTAL >> 10) as usize);
    assert!(semaphore.try_acquire_many((TOTAL >> 10) as u32 + 1).is_err());
    group.bench_function("tokio_semaphore_kib", |bencher| {
        bencher.iter(|| _ = black_box(&semaphore.try_acquire_many(black_box((SIZE >> 10) as u32)).unwrap()));
    });
    group.finish();
}

criterion_group!(benches, pair);
criterion_main!(benches);
