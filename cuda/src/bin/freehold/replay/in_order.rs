//! One thread, program order: the replay whose every figure is the same each time.
//!
//! A worker whose job is not admitted yet stays in the pool's queue and steps aside with all that it does later, and the
//! others go on. (Blocking would stop the very events that free what it waits for.)

use std::collections::VecDeque;

use indicatif::ProgressBar;

use super::admission::Patience;
use super::ledger::Ledger;
use super::meter::Meter;
use super::world::World;
use crate::trace::{Event, Op};

/// Between two looks at the progress bar.
const EVENTS_A_TICK: usize = 1 << 10;

pub(super) fn run(world: &World<'_>, progress: &ProgressBar) -> Meter {
    let mut order = Order { world, ledger: Ledger::new(world.trace), late: Vec::new(), meter: Meter::new() };
    for index in 0..world.trace.events.len() {
        if index % EVENTS_A_TICK == 0 {
            progress.set_position(index as u64);
        }
        order.take(index);
    }
    order.finish();
    order.meter
}

/// The workers that stepped aside, and everything else that the order needs.
struct Order<'w, 't> {
    world: &'w World<'t>,
    ledger: Ledger<'t>,
    /// In the order in which they stepped aside.
    late: Vec<Worker>,
    meter: Meter,
}

/// A worker that waits, and its events from there on.
struct Worker {
    thread: u16,
    events: VecDeque<usize>,
}

impl Order<'_, '_> {
    /// Runs the next event, or puts it behind those its worker has not run.
    fn take(&mut self, index: usize) {
        let Event { thread, op, .. } = self.world.trace.events[index];
        let worker = self.late.iter_mut().find(|worker| worker.thread == thread);
        // A free does not wait: the recorded one did not, for it was the consumer's.
        if let (Some(worker), false) = (worker, op == Op::Free && self.ledger.is_ready(index)) {
            return worker.events.push_back(index);
        }
        if !self.attempt(index) {
            self.late.push(Worker { thread, events: VecDeque::from([index]) });
        } else if !self.late.is_empty() {
            self.catch_up();
        }
    }

    /// Runs an event, unless a late worker has yet to make its id, or its job is not let in.
    fn attempt(&mut self, index: usize) -> bool {
        let runs = self.ledger.is_ready(index) && self.world.admit(index, Patience::ComeBack, &mut self.meter);
        if runs {
            self.world.step(index, &mut self.meter);
            self.ledger.mark(index);
        }
        runs
    }

    /// Runs what late workers can run now, until none gets further. True if any did. Each round but the last runs an
    /// event, so their number bounds it.
    fn catch_up(&mut self) -> bool {
        let (mut any, mut moved) = (false, true);
        while std::mem::take(&mut moved) {
            for place in 0..self.late.len() {
                while let Some(&index) = self.late[place].events.front() {
                    if !self.attempt(index) {
                        break;
                    }
                    self.late[place].events.pop_front();
                    (any, moved) = (true, true);
                }
            }
            self.late.retain(|worker| !worker.events.is_empty());
        }
        any
    }

    /// No event is left but those of late workers: whoever is through goes, and takes what it holds along.
    fn finish(&mut self) {
        let mut present: Vec<u16> = (0..self.world.trace.threads.len() as u16).collect();
        while !self.late.is_empty() {
            let late = |thread: &u16| self.late.iter().any(|worker| worker.thread == *thread);
            let (stay, go): (Vec<u16>, Vec<u16>) = present.into_iter().partition(late);
            present = stay;
            go.iter().for_each(|&thread| self.world.dismiss(thread, &mut self.meter));
            if !self.catch_up() && go.is_empty() {
                let stuck = self.late.len();
                return self.meter.mismatch(|| format!("{stuck} workers wait for each other"));
            }
        }
    }
}
