//! Blocking: who waits is served when it fits and not before, a timeout takes nothing, whatever unwinds gives its bytes back
//! (P2, P3, P4, P6, P7, P8, P13, P17).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, Bytes, PoolError};
use freehold_cuda::MemoryPool;

const SOON: Duration = Duration::from_millis(20);

fn pool(total: u64) -> Arc<MemoryPool> {
    Arc::new(MemoryPool::new(Bytes(total)).unwrap())
}

/// Until `waiting` threads sleep in the pool's queue.
fn until_waiting(pool: &MemoryPool, waiting: u64) {
    let started = Instant::now();
    while pool.statistics().waiting != waiting {
        assert!(started.elapsed() < Duration::from_secs(10), "nobody queued");
        thread::yield_now();
    }
}

#[test]
fn a_total_must_be_positive_and_countable() {
    assert_eq!(MemoryPool::new(Bytes(0)).unwrap_err(), PoolError::ZeroTotal);
    let requested = Bytes(u64::MAX);
    assert_eq!(MemoryPool::new(requested).unwrap_err(), PoolError::TotalTooLarge { requested });
}

#[test]
fn what_can_never_fit_is_refused_at_once_with_both_numbers() {
    let pool = pool(10);
    for requested in [11, u64::MAX / 4, u64::MAX] {
        let refused = pool.acquire(requested).unwrap_err();
        assert_eq!(refused, AcquireError::TooLarge { requested: Bytes(requested), total: Bytes(10) });
        let message = refused.to_string();
        assert!(message.contains(&requested.to_string()) && message.contains("10 bytes") && message.contains("budget"));
    }
    assert_eq!(pool.available_bytes(), Bytes(10));
}

#[test]
fn zero_bytes_go_at_once_past_those_who_wait() {
    let pool = pool(1);
    let held = pool.acquire(1).unwrap();
    let waiter = thread::spawn({
        let pool = pool.clone();
        move || pool.acquire(1).map(|lease| lease.nbytes())
    });
    until_waiting(&pool, 1);
    let nothing = pool.acquire(0).unwrap();
    assert_eq!(nothing.nbytes(), Bytes(0));
    assert!(pool.try_acquire(0).is_ok());
    drop(held);
    assert_eq!(waiter.join().unwrap(), Ok(Bytes(1)));
}

#[test]
fn a_lease_released_by_another_thread_serves_every_waiter_that_fits() {
    let pool = pool(10);
    let lease = pool.acquire_owned(10).wait().unwrap();
    let (served, receive) = mpsc::channel();
    let waiters: Vec<_> = [4, 3, 3]
        .into_iter()
        .map(|bytes| {
            let (pool, served) = (pool.clone(), served.clone());
            thread::spawn(move || {
                let lease = pool.acquire(bytes).unwrap();
                served.send(bytes).unwrap();
                thread::sleep(SOON);
                drop(lease);
            })
        })
        .collect();
    until_waiting(&pool, 3);
    assert!(receive.try_recv().is_err(), "nothing is free");
    thread::spawn(move || drop(lease)).join().unwrap();
    let mut all: Vec<u64> = receive.iter().take(3).collect();
    all.sort_unstable();
    assert_eq!(all, [3, 3, 4]);
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    assert_eq!(pool.available_bytes(), Bytes(10));
}

#[test]
fn a_timeout_takes_nothing_and_holds_nobody_up() {
    let pool = pool(10);
    let held = pool.acquire(6).unwrap();
    let large = thread::spawn({
        let pool = pool.clone();
        move || pool.acquire_timeout(8, SOON).map(|lease| lease.nbytes())
    });
    until_waiting(&pool, 1);
    // It would fit, but it came after the large one: it goes as soon as that one's time is up.
    assert!(matches!(pool.try_acquire(2), Err(AcquireError::Full { waiting: 1, .. })));
    let small = pool.acquire(2).unwrap();
    match large.join().unwrap().unwrap_err() {
        AcquireError::TimedOut { requested, available, waited } => {
            assert_eq!(requested, Bytes(8));
            assert!(available <= Bytes(4) && waited >= SOON);
        }
        other => panic!("{other}"),
    }
    drop((held, small));
    assert_eq!(pool.available_bytes(), Bytes(10));
}

#[test]
fn a_deadline_that_has_passed_still_takes_what_is_free() {
    let pool = pool(10);
    let now = Instant::now();
    let lease = pool.acquire_deadline(10, now).unwrap();
    assert!(matches!(pool.acquire_deadline(1, now), Err(AcquireError::TimedOut { .. })));
    assert!(matches!(pool.acquire_timeout(1, Duration::ZERO), Err(AcquireError::TimedOut { .. })));
    drop(lease);
    assert!(pool.acquire_timeout(1, Duration::MAX).is_ok(), "longer than the clock can say is for ever");
}

#[test]
fn a_panic_and_an_early_return_give_the_bytes_back() {
    let pool = pool(10);
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        let _lease = pool.acquire(10).unwrap();
        panic!("the job failed");
    }));
    assert!(unwound.is_err());
    let early = || -> Result<(), AcquireError> {
        let _lease = pool.try_acquire(10)?;
        let _second = pool.try_acquire(10)?;
        unreachable!("the first lease has all");
    };
    assert!(matches!(early(), Err(AcquireError::Full { .. })));
    assert_eq!(pool.available_bytes(), Bytes(10));
}

#[test]
fn closing_wakes_all_and_leases_still_return() {
    let pool = pool(10);
    let lease = pool.acquire(10).unwrap();
    let waiters = [(); 3].map(|()| {
        let pool = pool.clone();
        thread::spawn(move || pool.acquire(5).map(|lease| lease.nbytes()))
    });
    until_waiting(&pool, 3);
    pool.close();
    for waiter in waiters {
        assert_eq!(waiter.join().unwrap(), Err(AcquireError::Closed));
    }
    drop(lease);
    assert_eq!(pool.available_bytes(), Bytes(10));
    assert_eq!(pool.acquire(1).unwrap_err(), AcquireError::Closed);
}

#[test]
fn a_lowered_total_tells_those_who_can_no_longer_fit() {
    let pool = pool(10);
    let lease = pool.acquire(10).unwrap();
    let waiter = thread::spawn({
        let pool = pool.clone();
        move || pool.acquire(8).map(|lease| lease.nbytes())
    });
    until_waiting(&pool, 1);
    pool.set_total(Bytes(4)).unwrap();
    let refused = waiter.join().unwrap();
    assert_eq!(refused, Err(AcquireError::TooLarge { requested: Bytes(8), total: Bytes(4) }));
    assert_eq!(pool.available_bytes(), Bytes(0), "10 of 4 are leased");
    drop(lease);
    assert_eq!(pool.available_bytes(), Bytes(4));
}

/// Eight threads with mixed sizes and ways to ask: the sum of what they hold, counted by themselves, is never above the total.
#[test]
fn eight_threads_never_hold_more_than_there_is() {
    const TOTAL: u64 = 64;
    let (pool, held, start) = (pool(TOTAL), AtomicU64::new(0), Barrier::new(8));
    thread::scope(|scope| {
        for seed in 1..=8u64 {
            let (pool, held, start) = (&pool, &held, &start);
            scope.spawn(move || {
                start.wait();
                let mut random = seed;
                for _ in 0..20_000 {
                    random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                    let bytes = random >> 58;
                    let lease = match random >> 32 & 7 {
                        0..=2 => pool.try_acquire(bytes),
                        3 => pool.acquire_timeout(bytes, Duration::from_micros(random >> 40 & 63)),
                        _ => pool.acquire(bytes),
                    };
                    let Ok(lease) = lease else { continue };
                    let sum = held.fetch_add(bytes, SeqCst) + bytes;
                    assert!(sum <= TOTAL, "{sum} bytes are held");
                    held.fetch_sub(bytes, SeqCst);
                    drop(lease);
                }
            });
        }
    });
    let statistics = pool.statistics();
    assert_eq!((pool.available_bytes(), statistics.waiting), (Bytes(TOTAL), 0));
    assert_eq!(statistics.admissions + statistics.refusals, 8 * 20_000);
    assert!(statistics.peak_bytes <= Bytes(TOTAL) && statistics.peak_bytes > Bytes(0));
}
