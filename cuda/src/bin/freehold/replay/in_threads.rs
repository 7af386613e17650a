//! One thread of ours for each value of the trace's `thread` column, free-running: as the engines would meet in life.
//!
//! An event waits until its id has been made by whichever thread makes it, and a job for its admission; nothing else
//! keeps the threads together.

use std::thread;

use indicatif::ProgressBar;
use parking_lot::{Condvar, Mutex};

use super::admission::Patience;
use super::ledger::Ledger;
use super::meter::Meter;
use super::world::World;
use crate::failure::Failure;

/// Between two looks at the progress bar.
const EVENTS_A_TICK: u64 = 1 << 10;

/// # Errors
/// Where the system gives no thread: then none of them runs an event, for each would wait for what the missing one makes.
pub(super) fn run(world: &World<'_>, progress: &ProgressBar) -> Result<Meter, Failure> {
    let ledger = Ledger::new(world.trace);
    let threads = world.trace.threads.len();
    let gate = Gate::default();
    thread::scope(|scope| {
        let worker = |number| {
            let (ledger, gate) = (&ledger, &gate);
            let run = move || if gate.opens() { run_one(world, ledger, number, progress) } else { Meter::new() };
            thread::Builder::new().spawn_scoped(scope, run)
        };
        let running: Result<Vec<_>, _> = (0..threads as u16).map(worker).collect();
        gate.decide(running.is_ok());
        let mut all = Meter::new();
        for worker in running.map_err(|source| Failure::NoThread { threads, source })? {
            all.merge(worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        Ok(all)
    })
}

/// Where threads wait until it is known whether all of them are there.
#[derive(Default)]
struct Gate {
    decided: Mutex<Option<bool>>,
    bell: Condvar,
}

impl Gate {
    fn opens(&self) -> bool {
        let mut decided = self.decided.lock();
        while decided.is_none() {
            self.bell.wait(&mut decided);
        }
        *decided == Some(true)
    }

    fn decide(&self, open: bool) {
        *self.decided.lock() = Some(open);
        self.bell.notify_all();
    }
}

/// Ends the process if its thread panics: the others would wait for ever for ids that nobody makes.
struct EndWithMe;

impl Drop for EndWithMe {
    fn drop(&mut self) {
        if thread::panicking() {
            std::process::exit(101);
        }
    }
}

/// What one thread of the trace does, from its first event to its last.
fn run_one(world: &World<'_>, ledger: &Ledger<'_>, number: u16, progress: &ProgressBar) -> Meter {
    let _end_with_me = EndWithMe;
    let mut meter = Meter::new();
    let mut done = 0;
    for (index, _) in world.trace.events.iter().enumerate().filter(|(_, event)| event.thread == number) {
        ledger.wait(index);
        let admitted = world.admit(index, Patience::Wait, &mut meter);
        debug_assert!(admitted, "a patient job is let in or turned away");
        world.step(index, &mut meter);
        ledger.mark(index);
        done += 1;
        if done % EVENTS_A_TICK == 0 {
            progress.inc(EVENTS_A_TICK);
        }
    }
    world.dismiss(number, &mut meter);
    meter
}
