//! A pool of several processes: a process that is killed, holding, waiting or in the middle of a change, gives everything back at
//! once, and a forked child nothing (P11). The test program starts itself again as the other processes.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::process::Child;
use std::thread;
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, Bytes};
use freehold_cuda::admission::shared::{SharedPool, SharedPoolError};
use freehold_tests::shared_pool::{Name, POOL, ROLE, TOTAL, until};

const AT_ONCE: Duration = Duration::from_secs(1);
const OPERATIONS: u32 = 100_000;

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

/// What the other processes do; run as a test by itself it has no part to play.
#[test]
fn other_process() {
    let (Ok(name), Ok(role)) = (std::env::var(POOL), std::env::var(ROLE)) else {
        return;
    };
    let pool = SharedPool::join(&name, TOTAL).unwrap();
    let ready = || {
        println!("ready");
        std::io::stdout().flush().unwrap();
    };
    match role.as_str() {
        "hold" => {
            let _lease = pool.acquire(TOTAL).unwrap();
            ready();
            thread::sleep(Duration::from_secs(60));
        }
        "wait" => {
            ready();
            let _lease = pool.acquire(TOTAL).unwrap();
        }
        "work" => {
            ready();
            work(&pool);
        }
        other => panic!("no such role: {other}"),
    }
}

fn work(pool: &SharedPool) {
    let mut random = u64::from(std::process::id());
    for _ in 0..OPERATIONS {
        random = random.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        let bytes = Bytes((random >> 33) % (TOTAL.get() / 2) + 1);
        let asked = Instant::now();
        let mut lease = pool.acquire(bytes).unwrap();
        assert!(asked.elapsed() < AT_ONCE, "stuck for {:?}", asked.elapsed());
        drop(lease.split(Bytes(bytes.get() / 2)).unwrap());
    }
}

#[test]
fn what_a_killed_process_held_goes_to_who_waits() {
    let name = Name::new("holder");
    let holder = name.start("hold");
    let pool = name.join();
    assert_eq!(pool.available_bytes().unwrap(), Bytes(0));
    thread::scope(|scope| {
        let waiter = scope.spawn(|| pool.acquire(Bytes(1)).map(|lease| (lease.nbytes(), Instant::now())));
        thread::sleep(Duration::from_millis(50));
        let killed = Instant::now();
        kill(holder);
        let (bytes, served) = waiter.join().unwrap().unwrap();
        assert_eq!(bytes, Bytes(1));
        assert!(served.duration_since(killed) < AT_ONCE);
    });
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
}

#[test]
fn a_killed_waiter_passes_its_turn_on() {
    let name = Name::new("waiter");
    let pool = name.join();
    let lease = pool.acquire(Bytes(500)).unwrap();
    let large = name.start("wait");
    until("the other process queues", || {
        matches!(pool.try_acquire(Bytes(1)), Err(SharedPoolError::Acquire(AcquireError::Full { waiting: 1, .. })))
    });
    thread::scope(|scope| {
        let small = scope.spawn(|| pool.acquire(Bytes(500)).map(|lease| lease.nbytes()));
        thread::sleep(Duration::from_millis(50));
        assert!(!small.is_finished(), "it came second");
        let killed = Instant::now();
        kill(large);
        assert_eq!(small.join().unwrap().unwrap(), Bytes(500));
        assert!(killed.elapsed() < AT_ONCE);
    });
    drop(lease);
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
}

#[test]
fn books_that_a_death_left_half_written_are_counted_again() {
    let name = Name::new("half");
    let pool = name.join();
    let lease = pool.acquire(Bytes(300)).unwrap();
    // As by one who died after he had said that he changes the books, and had written nonsense for what is free.
    let file = fs::OpenOptions::new().write(true).open(name.path()).unwrap();
    file.write_all_at(&1u64.to_ne_bytes(), 24).unwrap();
    file.write_all_at(&5u64.to_ne_bytes(), 32).unwrap();
    std::mem::forget(file); // To close it would end this process's locks.
    assert_eq!(pool.available_bytes().unwrap(), Bytes(700));
    drop(lease);
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
}

#[test]
fn a_forked_child_frees_nothing_of_its_parent() {
    let name = Name::new("fork");
    let pool = name.join();
    let lease = pool.acquire(Bytes(400)).unwrap();
    // SAFETY: the child calls only what neither allocates under a lock another thread may have had nor unwinds, and leaves by `_exit`.
    #[allow(unsafe_code)]
    let child = unsafe { libc::fork() };
    if child == 0 {
        let refused = matches!(pool.try_acquire(Bytes(1)), Err(SharedPoolError::Forked));
        drop((lease, pool));
        // SAFETY: it ends the child at once, without the parent's exit handlers.
        #[allow(unsafe_code)]
        unsafe {
            libc::_exit(i32::from(!refused))
        };
    }
    let mut status = -1;
    // SAFETY: the status is ours to be written to.
    #[allow(unsafe_code)]
    unsafe {
        libc::waitpid(child, &raw mut status, 0)
    };
    assert_eq!(status, 0, "the child was not refused");
    assert_eq!(pool.available_bytes().unwrap(), Bytes(600));
    drop(lease);
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
}

/// Four processes at work; for two seconds one of them is killed every 50 ms and another starts in its place.
#[test]
fn processes_killed_at_any_moment_lose_no_byte() {
    let name = Name::new("storm");
    let pool = name.join();
    let mut workers: Vec<_> = (0..4).map(|_| name.start("work")).collect();
    for round in 0..40 {
        thread::sleep(Duration::from_millis(50));
        kill(workers.remove(round * 7 % 4));
        workers.push(name.start("work"));
        assert!(pool.available_bytes().unwrap() <= TOTAL);
    }
    for mut worker in workers {
        assert!(worker.wait().unwrap().success(), "a worker was stuck or failed");
    }
    assert_eq!(pool.available_bytes().unwrap(), TOTAL);
    drop(pool.try_acquire(TOTAL).unwrap());
}
