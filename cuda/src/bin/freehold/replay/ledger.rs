//! Which events of an id are done: so that no event runs before what it depends on, whoever runs it.
//!
//! In program order that needs no help. With a thread for each of the trace's, or with workers that wait for admission,
//! an event asks here: what uses an id waits until it has been made, and what ends it waits for all that came before.
//! Everything depends on earlier events only, so somebody can always go on.

use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::{Condvar, Mutex};

use crate::trace::{Op, Trace};

/// Places to wait: enough that two ids rarely share one.
const ROOMS: usize = 64;

/// For each id, how many of its events are done; for each event, how many must be.
pub(super) struct Ledger<'t> {
    trace: &'t Trace,
    needs: Vec<u32>,
    done: Vec<AtomicU32>,
    rooms: Vec<(Mutex<()>, Condvar)>,
}

impl<'t> Ledger<'t> {
    pub(super) fn new(trace: &'t Trace) -> Ledger<'t> {
        let mut before = vec![0; trace.ids];
        let needs = trace.events.iter().map(|event| {
            let Some(before) = before.get_mut(event.id as usize) else { return 0 };
            *before += 1;
            match event.op {
                Op::Share | Op::Access => 1,
                _ => *before - 1, // for what makes an id, none
            }
        });
        let needs = needs.collect();
        let rooms = (0..ROOMS).map(|_| Default::default()).collect();
        Ledger { trace, needs, done: before.iter().map(|_| AtomicU32::new(0)).collect(), rooms }
    }

    /// Whether event number `index` may run.
    pub(super) fn is_ready(&self, index: usize) -> bool {
        // Acquire: pairs with the Release in `mark`; what the earlier events put into the world is there.
        self.done(index).is_none_or(|done| done.load(Ordering::Acquire) >= self.needs[index])
    }

    /// Waits until event number `index` may run: as long as what it depends on takes.
    pub(super) fn wait(&self, index: usize) {
        if self.is_ready(index) {
            return;
        }
        let (door, bell) = self.room(index);
        let mut inside = door.lock();
        while !self.is_ready(index) {
            bell.wait(&mut inside);
        }
    }

    /// Says that event number `index` is done.
    pub(super) fn mark(&self, index: usize) {
        let Some(done) = self.done(index) else { return };
        // Release: pairs with the Acquire in `is_ready`.
        done.fetch_add(1, Ordering::Release);
        let (door, bell) = self.room(index);
        drop(door.lock()); // whoever looked before the count changed is at the bell now
        bell.notify_all();
    }

    /// The count of the event's id; jobs that begin and end have none.
    fn done(&self, index: usize) -> Option<&AtomicU32> {
        self.done.get(self.trace.events[index].id as usize)
    }

    fn room(&self, index: usize) -> &(Mutex<()>, Condvar) {
        &self.rooms[self.trace.events[index].id as usize % ROOMS]
    }
}
