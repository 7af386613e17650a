//! Streams and events: queues of work, and what may run next.
//!
//! Work is checked when it is enqueued and runs later. Nothing here is simultaneous: one piece of work runs at a time,
//! picked by the seed among those that stand at the head of a queue and wait for nobody. When the host waits, it runs
//! work itself until what it waits for is over. In the mode `late` that is the only time at which anything runs, so every
//! piece of work runs as late as the program allows; otherwise a device thread runs work meanwhile, at its own pace.

use crate::clock::Clock;
use crate::kernels::Launch;
use crate::memory::{self, POISON};
use crate::state::World;
use std::collections::VecDeque;

/// A point of a stream: all work up to the `sequence`-th.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) stream: usize,
    pub(crate) sequence: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) device: usize,
    /// Ordered with the default stream, both ways.
    pub(crate) blocking: bool,
    pub(crate) destroyed: bool,
    /// A graph is being captured, in this mode.
    pub(crate) capturing: Option<u32>,
    pub(crate) clock: Clock,
    queue: VecDeque<Work>,
    enqueued: u64,
    done: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Event {
    /// What was recorded last; an event that was never recorded holds nobody up.
    pub(crate) recorded: Option<(Point, Clock)>,
}

/// What a stream has to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Host bytes to the device, as they were when the call was made.
    CopyIn {
        to: u64,
        bytes: Box<[u8]>,
    },
    /// Pinned bytes to the device, as they are when the copy runs: they had better be the same.
    CopyPinned {
        to: u64,
        from: u64,
        len: u64,
        fingerprint: u64,
        number: u64,
    },
    CopyOut {
        to: u64,
        from: u64,
        len: u64,
    },
    CopyInside {
        to: u64,
        from: u64,
        len: u64,
    },
    Fill {
        at: u64,
        byte: u8,
        len: u64,
    },
    Kernel(Launch),
    /// The second half of a free in stream order.
    Free(u64),
    /// Goes on when another stream has come that far.
    Wait(Point),
    /// Does nothing: a place for an event.
    Mark,
}

impl Stream {
    pub(crate) fn new(device: usize, blocking: bool) -> Self {
        Stream { device, blocking, ..Stream::default() }
    }

    pub(crate) fn point(&self, stream: usize) -> Point {
        Point { stream, sequence: self.enqueued }
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn pending(&self) -> usize {
        self.queue.len()
    }
}

impl World {
    /// Puts work at the end of a queue.
    pub(crate) fn push(&mut self, stream: usize, work: Work) -> Point {
        if let Work::CopyOut { to, len, .. } = work
            && self.memory.is_pinned(to, len)
        {
            // Until the copy is done its target is undefined: whoever reads it too early is to see that.
            memory::fill(memory::host(to), POISON, len);
        }
        let queue = &mut self.streams[stream];
        queue.queue.push_back(work);
        queue.enqueued += 1;
        queue.point(stream)
    }

    pub(crate) fn reached(&self, point: Point) -> bool {
        self.streams[point.stream].done >= point.sequence
    }

    /// The host waits for a point: it knows then of everything before it.
    pub(crate) fn wait_on_host(&mut self, point: Point, clock: &Clock) {
        if !self.reached(point) {
            self.host_waits += 1;
            self.run_until(|world| world.reached(point));
        }
        self.host.join(clock);
    }

    /// Runs everything that is queued on `device`.
    pub(crate) fn drain(&mut self, device: usize) {
        let idle = |world: &World| world.streams.iter().all(|stream| stream.device != device || stream.is_idle());
        if !idle(self) {
            self.host_waits += 1;
            self.run_until(idle);
        }
    }

    fn run_until(&mut self, over: impl Fn(&World) -> bool) {
        while !over(self) {
            if !self.run_one() {
                self.report("deadlock: all streams wait for each other".into());
                return;
            }
        }
    }

    /// Runs one piece of work that waits for nobody, picked by the seed; `false` where there is none.
    pub(crate) fn run_one(&mut self) -> bool {
        let ready: Vec<usize> = (0..self.streams.len()).filter(|&stream| self.is_ready(stream)).collect();
        if ready.is_empty() {
            return false;
        }
        let stream = ready[self.random(ready.len() as u64) as usize];
        let work = self.streams[stream].queue.pop_front().expect("a ready stream has work");
        self.execute(work);
        self.streams[stream].done += 1;
        true
    }

    fn is_ready(&self, stream: usize) -> bool {
        match self.streams[stream].queue.front() {
            Some(Work::Wait(point)) => self.reached(*point),
            work => work.is_some(),
        }
    }

    fn execute(&mut self, work: Work) {
        let memory = &self.memory;
        let device = |address| memory.device(address);
        match work {
            Work::CopyIn { to, bytes } => memory::copy(device(to), bytes.as_ptr(), bytes.len() as u64),
            Work::CopyPinned { to, from, len, fingerprint, number } => {
                memory::copy(device(to), memory::host(from), len);
                if memory::fingerprint(memory::host(from), len) != fingerprint {
                    self.report(format!(
                        "the host wrote to the pinned source of the copy (work {number}) before it ran"
                    ));
                }
            }
            Work::CopyOut { to, from, len } => memory::copy(memory::host(to), device(from), len),
            Work::CopyInside { to, from, len } => memory::copy(device(to), device(from), len),
            Work::Fill { at, byte, len } => memory::fill(device(at), byte, len),
            Work::Kernel(launch) => launch.run(device),
            Work::Free(address) => self.memory.unmap(address),
            Work::Wait(_) | Work::Mark => {}
        }
    }
}
