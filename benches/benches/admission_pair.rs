//! Uncontended admission: take 4 KiB of 1 GiB and give them back, on one thread, beside the floor and its peers.
//!
//! The floor is what any lock-free counter costs: a load and a compare-exchange to take, and the same to give. Each contender
//! is asked first whether it refuses what does not fit.
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::*};
use std::sync::{Condvar, Mutex};
use std::task::{Context, Poll, Waker};

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

/// The slow path without its sleep: a second job queues, the first leaves, the second finds that it was served.
fn turn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("admission_turn");
    let mut context = Context::from_waker(Waker::noop());

    let pool = MemoryPool::new(Bytes(SIZE)).unwrap();
    let mut held = Some(pool.try_acquire(SIZE).unwrap());
    group.bench_function("freehold_core", |bencher| {
        bencher.iter(|| {
            let mut next = pin!(pool.acquire_async(black_box(SIZE)));
            assert!(next.as_mut().poll(&mut context).is_pending());
            drop(held.take());
            let Poll::Ready(served) = next.poll(&mut context) else { panic!("it is its turn") };
            held = served.ok();
        });
    });

    let semaphore = tokio::sync::Semaphore::new(SIZE as usize);
    let mut held = Some(semaphore.try_acquire_many(SIZE as u32).unwrap());
    group.bench_function("tokio_semaphore", |bencher| {
        bencher.iter(|| {
            let mut next = pin!(semaphore.acquire_many(black_box(SIZE as u32)));
            assert!(next.as_mut().poll(&mut context).is_pending());
            drop(held.take());
            let Poll::Ready(served) = next.poll(&mut context) else { panic!("it is its turn") };
            held = served.ok();
        });
    });
    group.finish();
}

criterion_group!(benches, pair, turn);
criterion_main!(benches);
