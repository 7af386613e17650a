//! Contended admission: threads take and give mixed sizes and wait their turn, beside a counter under a condition variable as
//! in today's vLLM pool, and beside tokio's semaphore. Everyone sleeps and wakes by the same means (`thread::park`), but the
//! condition variables, which have their own.
//!
//! Said: admissions per second, the 99th percentile and the maximum of the time to be admitted, the maximum of the largest
//! requests, and wake-ups per admission that had to wait. The sum of what is held is checked in every run.
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Barrier, Condvar, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Instant;

use freehold_core::{Bytes, Fairness, MemoryPool};

/// Less than two of the largest requests.
const TOTAL: u64 = 768 << 10;
const LARGEST: u64 = 512 << 10;
const JOBS_A_THREAD: u64 = 10_000;

struct Counters {
    held: AtomicU64,
    waited: AtomicU64,
    wakes: AtomicU64,
    large_wait_ns: AtomicU64,
}

struct Unpark(Thread, Arc<Counters>);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.1.wakes.fetch_add(1, Relaxed);
        self.0.unpark();
    }
}

fn block_on<T>(future: impl Future<Output = T>, waker: &Waker, counters: &Counters) -> T {
    let (mut future, mut context, mut waited) = (pin!(future), Context::from_waker(waker), false);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            counters.waited.fetch_add(u64::from(waited), Relaxed);
            return value;
        }
        waited = true;
        thread::park();
    }
}

/// Runs `job` on each thread with random sizes; `job` calls back while it holds the bytes.
fn measure(name: &str, threads: u64, job: impl Fn(u64, &Waker, &Counters, &mut dyn FnMut()) + Sync) {
    let counters = Arc::new(Counters { held: 0.into(), waited: 0.into(), wakes: 0.into(), large_wait_ns: 0.into() });
    let (start, job, books) = (&Barrier::new(threads as usize + 1), &job, &counters);
    let (started, mut waits_ns) = thread::scope(|scope| {
        let workers: Vec<_> = (1..=threads).map(|seed| scope.spawn(move || work(seed, books, start, job))).collect();
        start.wait();
        let started = Instant::now();
        (started, workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect::<Vec<u64>>())
    });
    let seconds = started.elapsed().as_secs_f64();
    waits_ns.sort_unstable();
    let (waited, wakes) = (counters.waited.load(Relaxed), counters.wakes.load(Relaxed));
    println!(
        "{name:<24} {threads} threads {:>10.0} admissions/s, p99 {:>9} ns, max {:>10} ns, of the largest {:>10} ns, {:>6} waited, {:.2} wakes each",
        waits_ns.len() as f64 / seconds,
        waits_ns[waits_ns.len() * 99 / 100],
        waits_ns[waits_ns.len() - 1],
        counters.large_wait_ns.load(Relaxed),
        waited,
        wakes as f64 / waited.max(1) as f64,
    );
}

fn work(
    seed: u64,
    counters: &Arc<Counters>,
    start: &Barrier,
    job: &impl Fn(u64, &Waker, &Counters, &mut dyn FnMut()),
) -> Vec<u64> {
    let waker = Waker::from(Arc::new(Unpark(thread::current(), counters.clone())));
    let (mut random, mut waits_ns) = (seed, Vec::with_capacity(JOBS_A_THREAD as usize));
    start.wait();
    for _ in 0..JOBS_A_THREAD {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        // 1 KiB to 512 KiB, log-uniform.
        let bytes = 1024 << ((random >> 40) % 10);
        let asked = Instant::now();
        job(bytes, &waker, counters, &mut || {
            let waited_ns = asked.elapsed().as_nanos() as u64;
            waits_ns.push(waited_ns);
            if bytes == LARGEST {
                counters.large_wait_ns.fetch_max(waited_ns, Relaxed);
            }
            let held = counters.held.fetch_add(bytes, Relaxed) + bytes;
            assert!(held <= TOTAL, "{held} bytes are held");
            // The job itself lets others run, so that they meet a pool in use even on few cores.
            thread::yield_now();
            counters.held.fetch_sub(bytes, Relaxed);
        });
    }
    waits_ns
}

fn main() {
    for threads in [2, 4, 8] {
        for (name, fairness) in [("freehold fifo", Fairness::Fifo), ("freehold barging", Fairness::Barging)] {
            let pool = MemoryPool::with_fairness(Bytes(TOTAL), fairness).unwrap();
            measure(name, threads, |bytes, waker, counters, held| {
                let lease = block_on(pool.acquire_async(bytes), waker, counters).unwrap();
                held();
                drop(lease);
            });
            assert_eq!(pool.available_bytes(), Bytes(TOTAL));
        }
        let semaphore = tokio::sync::Semaphore::new((TOTAL >> 10) as usize);
        measure("tokio semaphore", threads, |bytes, waker, counters, held| {
            let permit = block_on(semaphore.acquire_many((bytes >> 10) as u32), waker, counters).unwrap();
            held();
            drop(permit);
        });
        let (free, freed) = (Mutex::new(TOTAL), Condvar::new());
        measure("std mutex+condvar", threads, |bytes, _, counters, held| {
            let mut guard = free.lock().unwrap();
            let waits = *guard < bytes;
            counters.waited.fetch_add(u64::from(waits), Relaxed);
            while *guard < bytes {
                guard = freed.wait(guard).unwrap();
                counters.wakes.fetch_add(1, Relaxed);
            }
            *guard -= bytes;
            drop(guard);
            held();
            *free.lock().unwrap() += bytes;
            freed.notify_all();
        });
        let (free, freed) = (parking_lot::Mutex::new(TOTAL), parking_lot::Condvar::new());
        measure("parking_lot condvar", threads, |bytes, _, counters, held| {
            let mut guard = free.lock();
            counters.waited.fetch_add(u64::from(*guard < bytes), Relaxed);
            while *guard < bytes {
                freed.wait(&mut guard);
                counters.wakes.fetch_add(1, Relaxed);
            }
            *guard -= bytes;
            drop(guard);
            held();
            *free.lock() += bytes;
            freed.notify_all();
        });
    }
}
