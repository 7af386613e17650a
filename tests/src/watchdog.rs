//! A watchdog: a test that hangs says so and ends, instead of keeping everybody waiting.

use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Ends the process, with a word, unless it is dropped in time.
#[derive(Debug)]
pub struct Watchdog(#[allow(dead_code, reason = "its drop is the message")] Sender<()>);

/// What ends in seconds on an idle machine may take a minute where twenty others want its two cores; what hangs is in no hurry.
const LIMIT: Duration = Duration::from_secs(600);

/// A watchdog over `what`.
#[must_use]
pub fn watch(what: &'static str) -> Watchdog {
    watch_for(what, LIMIT)
}

/// A watchdog over what may take up to `limit`.
#[must_use]
pub fn watch_for(what: &'static str, limit: Duration) -> Watchdog {
    let (alive, ended) = channel();
    std::thread::spawn(move || {
        if ended.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
            eprintln!("{what} did not end within {limit:?}: a deadlock, or a lost wake-up");
            std::process::abort();
        }
    });
    Watchdog(alive)
}
