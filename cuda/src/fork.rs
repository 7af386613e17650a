//! Fork: a child process has a copy of every handle and no right to any of them (E8).
//!
//! The card's memory stays the parent's. So in the child every use is a clear error, and every drop does nothing: no
//! driver call, and no lock either, which another of the parent's threads may have held at the moment of the fork.
#![allow(unsafe_code, reason = "pthread_atfork is how a process is told of its own forks: F1 below")]
// F1  The function given to `pthread_atfork` runs in the child, between fork and its return, where only what is safe in
//     a signal handler is allowed: it adds to one atomic, and nothing else.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// How many forks lie between this process and the one that started counting. Relaxed: a child reads what it wrote
/// itself, on its only thread.
static FORKS: AtomicU64 = AtomicU64::new(0);

/// The number of this process: a child's differs from its parent's.
pub(crate) fn generation() -> u64 {
    static REGISTER: Once = Once::new();
    REGISTER.call_once(register);
    FORKS.load(Relaxed)
}

/// Whether this is the process that was told this number. One load: who has a number has registered.
#[inline]
pub(crate) fn is_still(generation: u64) -> bool {
    FORKS.load(Relaxed) == generation
}

#[cfg(unix)]
fn register() {
    extern "C" fn in_child() {
        FORKS.fetch_add(1, Relaxed);
    }
    // SAFETY: F1. `in_child` only adds to an atomic. The return value says that there was no memory to note it; a fork is
    // then not noticed, which is what it would be without this call.
    unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
}

#[cfg(not(unix))]
fn register() {}
