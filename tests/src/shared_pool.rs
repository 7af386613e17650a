//! Pools that processes share, for tests: a name and a file of a test's own, and other processes, which are the test program
//! started once more.

use freehold_core::Bytes;
use freehold_cuda::admission::shared::SharedPool;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

/// What each pool has.
pub const TOTAL: Bytes = Bytes(1000);

/// In which variables another process finds its pool's name, and what it is to do there.
pub const POOL: &str = "FREEHOLD_TEST_POOL";
/// See [`POOL`].
pub const ROLE: &str = "FREEHOLD_TEST_ROLE";

/// A pool's name of this test alone; its file goes with it.
#[derive(Debug)]
pub struct Name(pub String);

impl Name {
    /// A name that nobody else has.
    #[must_use]
    pub fn new(test: &str) -> Name {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        Name(format!("test-{test}-{}-{}", std::process::id(), COUNT.fetch_add(1, Relaxed)))
    }

    /// Where the pool's file lies.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/dev/shm/freehold-{}", self.0))
    }

    /// The pool, of `TOTAL` bytes.
    ///
    /// # Panics
    /// When it is refused.
    #[must_use]
    pub fn join(&self) -> SharedPool {
        SharedPool::join(&self.0, TOTAL).unwrap()
    }

    /// Another process, which does what the test `other_process` of the same program says for `role`, and has said that it is
    /// ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(&self, role: &str) -> Child {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["other_process", "--exact", "--nocapture", "--test-threads=1"])
            .envs([(POOL, self.0.as_str()), (ROLE, role)])
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

/// Waits until something that others do is done.
///
/// # Panics
/// When it is not after ten seconds, which nothing takes.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let started = Instant::now();
    while !done() {
        assert!(started.elapsed() < Duration::from_secs(10), "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}
