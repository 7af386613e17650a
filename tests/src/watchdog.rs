//! A watchdog: a test that hangs says so and ends, instead of keeping everybody waiting.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends the process, with a word, unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog(#[allow(dead_code, reason = "its drop is the message")] Sender<()>);

/// A watchdog over `what`.
#[must_use]
pub fn watch(what: &'static str, limit: Duration) -> Watchdog {
    let (alive, ended) = channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{what} did not end within {limit:?}: a deadlock, or a lost wake-up");
            std::process::abort();
        }
    });
    Watchdog(alive)
}
