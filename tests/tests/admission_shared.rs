//! A pool of several processes: what one does not use another may, and a process that is killed, holding, waiting or in the
//! middle of a change, gives everything back at once (P11). The test program starts itself again as the other processes.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use freehold_core::{AcquireError, Bytes, LeaseError};
use freehold_cuda::admission::shared::{SharedPool, SharedPoolError};

const AT_ONCE: Duration = Duration::from_secs(1);
const OPERATIONS: u32 = 100_000;
const TOTAL: Bytes = Bytes(1000);

/// A pool's name of this test alone; its file goes with it.
struct Name(String);

impl Name {
    fn new(test: &str) -> Name {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Name(format!("test-{test}-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
    }

    fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm/freehold-{}", self.0))
    }

    fn join(&self) -> SharedPool {
        SharedPool::join(&self.0, TOTAL).unwrap()
    }

    /// Another process, which does what `other_process` says for `role` and has said its first line.
    fn start(&self, role: &str) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["other_process", "--exact", "--nocapture", "--test-threads=1"])
            .envs([("FREEHOLD_TEST_POOL", &self.0), ("FREEHOLD_TEST_ROLE", &role.to_owned())])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains("ready") {
            line.clear();
            assert!(output.read_line(&mut line).unwrap() > 0, "the other process did not start");
        }
        // Kept open, or its last words would fail.
        child.stdout = Some(output.into_inner());
        child
    }
}

impl Drop for Name {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path());
    }
}

fn kill(mut child: Child) {
    child.kill().unwrap(); // SIGKILL
    child.wait().unwrap();
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// What the other processes do; run as a test by itself it has no part to play.
#[test]
fn other_process() {
    let (Ok(name), Ok(role)) = (std::env::var("FREEHOLD_TEST_POOL"), std::env::var("FREEHOLD_TEST_ROLE")) else {
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
