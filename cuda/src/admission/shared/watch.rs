//! Who waits must hear of a death: one thread a process, made at the first wait, sleeps on the other members' process
//! descriptors and buries whoever ends.
//!
//! It needs to know those who were members when the wait began: by order of arrival nobody who joins later is served before.
//! Each wait that finds newer members wakes it to look again.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::thread;

use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::Member;
use super::error::SharedPoolError;
use super::segment::CELLS;

pub(super) struct Watch {
    /// Written to when there is something new to look at, or nothing any more.
    bell: Arc<OwnedFd>,
    running: AtomicBool,
    /// The roster that the thread has looked at.
    seen: AtomicU64,
}

impl Watch {
    pub(super) fn new() -> Result<Watch, SharedPoolError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let bell = eventfd(0, flags).map_err(io::Error::from).map_err(SharedPoolError::io("make a bell"))?;
        Ok(Watch { bell: Arc::new(bell), running: AtomicBool::new(false), seen: AtomicU64::new(0) })
    }

    /// Called by whoever waits, once it has its seat. Relaxed: the books are read under the file lock.
    pub(super) fn ensure(&self, member: &Arc<Member>) {
        if !self.running.swap(true, Relaxed) {
            let (weak, bell) = (Arc::downgrade(member), self.bell.clone());
            let thread = thread::Builder::new().name("freehold-watch".into()).spawn(move || watch(&weak, &bell));
            self.running.store(thread.is_ok(), Relaxed);
        } else if self.seen.load(Relaxed) != member.segment.books().roster.load(Relaxed) {
            self.ring();
        }
    }

    fn ring(&self) {
        // It can only be refused because it rings already.
        let _ = rustix::io::write(&*self.bell, &1u64.to_ne_bytes());
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.ring();
    }
}

/// Bounded by the member's life: its end rings the bell.
fn watch(member: &Weak<Member>, bell: &OwnedFd) {
    loop {
        let Some(alive) = member.upgrade() else { return };
        let Ok(others) = bury_and_look(&alive) else { return alive.watch.running.store(false, Relaxed) };
        drop(alive);
        let mut fds: Vec<_> = [bell].into_iter().chain(&others).map(|fd| PollFd::new(fd, PollFlags::IN)).collect();
        let _ = poll(&mut fds, None);
        let _ = rustix::io::read(bell, &mut [0u8; 8]);
    }
}

/// Buries the dead and returns a descriptor of each member that lives.
fn bury_and_look(member: &Member) -> Result<Vec<OwnedFd>, SharedPoolError> {
    let turn = member.turn()?;
    turn.bury_the_dead()?;
    member.watch.seen.store(member.segment.books().roster.load(Relaxed), Relaxed);
    let mut others = Vec::new();
    for index in (0..CELLS).filter(|&index| index != member.cell) {
        let Some(pid) = member.segment.inhabitant(index)? else { continue };
        let opened = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        // Still the same one in its cell after we opened it: so it is the one that we opened, not a later one of its number.
        match opened {
            Some(fd) if member.segment.inhabitant(index)? == Some(pid) => others.push(fd),
            _ => turn.bury_the_dead()?,
        }
    }
    Ok(others)
}
