//! Threads that begin together.

use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::stopwatch::Span;

/// Where threads wait for one another without sleeping, so that they begin in the same microsecond.
#[derive(Debug)]
pub(crate) struct Gate {
    arriving: AtomicUsize,
    ready: AtomicUsize,
}

impl Gate {
    fn new(threads: usize) -> Gate {
        Gate { arriving: AtomicUsize::new(threads), ready: AtomicUsize::new(threads) }
    }

    /// Measures `work` from the moment when all threads are here. Bounded by the slowest one's warm-up.
    pub(crate) fn timed<R>(&self, work: impl FnOnce() -> R) -> (Span, R) {
        let mut turns = 0_u32;
        wait(&self.arriving, || {
            turns += 1;
            if turns.is_multiple_of(1024) { thread::yield_now() } else { spin_loop() }
        });
        // Now all have a processor, unless there are fewer than threads: nobody gives it away before the work is done.
        Span::of(|| wait(&self.ready, spin_loop), work)
    }
}

/// Relaxed both: they agree on a moment, and pass nothing on.
fn wait(missing: &AtomicUsize, mut meanwhile: impl FnMut()) {
    missing.fetch_sub(1, Ordering::Relaxed);
    while missing.load(Ordering::Relaxed) > 0 {
        meanwhile();
    }
}

/// One thread for each state; one state is the calling thread's.
pub(crate) fn together<T: Send, R: Send>(states: &mut [T], work: impl Fn(usize, &mut T, &Gate) -> R + Sync) -> Vec<R> {
    let (gate, work) = (&Gate::new(states.len()), &work);
    if let [state] = states {
        return vec![work(0, state, gate)];
    }
    thread::scope(|scope| {
        let workers: Vec<_> =
            states.iter_mut().enumerate().map(|(index, state)| scope.spawn(move || work(index, state, gate))).collect();
        workers.into_iter().map(|worker| worker.join().expect("no panic")).collect()
    })
}
