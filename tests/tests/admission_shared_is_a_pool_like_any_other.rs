//! A pool of several processes, in one of them: it admits and refuses as the pool of one process does, its leases can be split,
//! merged, shrunk and grown (P9), to join again is the same pool, and what is none is refused (P11).
//! Not covered: other processes, and their deaths (`admission_shared_survives_killed_processes`).
#![cfg(target_os = "linux")]

use std::fs;
use std::thread;
use std::time::Duration;

use freehold_core::{AcquireError, Bytes, LeaseError};
use freehold_cuda::admission::shared::{SharedPool, SharedPoolError};
use freehold_tests::shared_pool::{Name, TOTAL, until};

#[test]
fn within_one_process_it_is_a_pool_like_any_other() {
    let name = Name::new("alone");
    let pool = name.join();
    let too_large = pool.acquire(Bytes(1001)).unwrap_err();
    assert!(matches!(too_large, SharedPoolError::Acquire(AcquireError::TooLarge { .. })), "{too_large}");
    let mut lease = pool.acquire(Bytes(600)).unwrap();
    let full = pool.try_acquire(Bytes(401)).unwrap_err();
    let numbers = AcquireError::Full { requested: Bytes(401), available: Bytes(400), waiting: 0 };
    assert!(matches!(full, SharedPoolError::Acquire(refused) if refused == numbers), "{full}");
    let late = pool.acquire_timeout(Bytes(401), Duration::from_millis(20)).unwrap_err();
    assert!(matches!(late, SharedPoolError::Acquire(AcquireError::TimedOut { .. })), "{late}");
    drop(lease.split(Bytes(100)).unwrap());
    assert_eq!(pool.available_bytes().unwrap(), Bytes(500));
    assert_eq!(name.join().available_bytes().unwrap(), Bytes(500), "to join again is the same pool");
    let other = SharedPool::join(&name.0, Bytes(7)).unwrap_err();
    assert!(matches!(other, SharedPoolError::OtherTotal { installed: TOTAL, requested: Bytes(7) }), "{other}");
    lease.release();
    lease.release();
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
    drop((lease, pool));
    let again = SharedPool::join(&name.0, Bytes(7)).unwrap();
    assert_eq!(again.available_bytes().unwrap(), Bytes(7), "nobody was in it: it is founded anew");
}

#[test]
fn threads_of_one_process_wait_their_turn() {
    let name = Name::new("threads");
    let pool = name.join();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..500).for_each(|_| drop(pool.acquire(Bytes(600)).unwrap())));
        }
    });
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
}

#[test]
fn what_is_not_a_pool_is_refused() {
    let name = Name::new("foreign");
    fs::write(name.path(), b"something else").unwrap();
    assert!(matches!(SharedPool::join(&name.0, TOTAL), Err(SharedPoolError::Foreign { .. })));

    // Of the right length, with another's content.
    let size = Name::new("size");
    drop(size.join());
    let length = fs::metadata(size.path()).unwrap().len() as usize;
    let same_length = Name::new("foreign-long");
    fs::write(same_length.path(), vec![0x5a; length]).unwrap();
    assert!(matches!(SharedPool::join(&same_length.0, TOTAL), Err(SharedPoolError::Foreign { .. })));

    for bad in ["", "a/b", "ä", &"x".repeat(201)] {
        assert!(matches!(SharedPool::join(bad, TOTAL), Err(SharedPoolError::Name { .. })), "{bad}");
    }
    assert!(matches!(SharedPool::join(&Name::new("zero").0, Bytes(0)), Err(SharedPoolError::Total { .. })));
}

#[test]
fn a_lease_is_split_merged_shrunk_and_grown() {
    let (name, elsewhere) = (Name::new("parts"), Name::new("elsewhere"));
    let pool = name.join();
    let free = || pool.available_bytes().unwrap();
    let mut job = pool.acquire(Bytes(600)).unwrap();
    let frame = job.split(Bytes(200)).unwrap();
    assert_eq!((job.nbytes(), frame.nbytes(), free()), (Bytes(400), Bytes(200), Bytes(400)));
    assert_eq!(job.split(Bytes(401)).unwrap_err(), LeaseError::NotHeld { requested: Bytes(401), held: Bytes(400) });

    let foreign = elsewhere.join().acquire(Bytes(5)).unwrap();
    let foreign = job.merge(foreign).unwrap_err();
    assert_eq!((job.nbytes(), foreign.nbytes()), (Bytes(400), Bytes(5)), "another pool's bytes stay its own");
    job.merge(frame).unwrap();
    assert_eq!((job.nbytes(), free()), (Bytes(600), Bytes(400)));

    job.shrink(Bytes(100)).unwrap();
    assert_eq!((job.nbytes(), free()), (Bytes(500), Bytes(500)));
    assert_eq!(job.shrink(Bytes(501)).unwrap_err(), LeaseError::NotHeld { requested: Bytes(501), held: Bytes(500) });
    job.try_grow(Bytes(500)).unwrap();
    let refused = || AcquireError::Full { requested: Bytes(1), available: Bytes(0), waiting: 0 };
    assert!(matches!(job.try_grow(Bytes(1)).unwrap_err(), SharedPoolError::Acquire(why) if why == refused()));
    assert_eq!(job.nbytes(), TOTAL, "it still holds what it held");

    thread::scope(|scope| {
        let waiting = scope.spawn(|| pool.acquire(Bytes(300)).unwrap().nbytes());
        let mut queued = || {
            let refused = job.try_grow(Bytes(1)).unwrap_err();
            matches!(refused, SharedPoolError::Acquire(AcquireError::Full { waiting: 1, .. }))
        };
        until("the other queues", &mut queued);
        job.shrink(Bytes(300)).unwrap();
        assert_eq!(waiting.join().unwrap(), Bytes(300), "what it gives up goes to who waits");
    });
    drop(job);
    assert_eq!(free(), TOTAL);
}
