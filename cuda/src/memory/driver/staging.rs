//! Staging: pinned buffers through which bytes of ordinary memory go to the card and come from it (`through`).
//!
//! A buffer that was handed to a copy is not touched before that copy's event has passed (F4); buffers are lent in turn, so
//! the one that is lent next was given away longest ago.
#![allow(unsafe_code, reason = "pinned memory: G1, G2")]
// G1  A stage's buffer is `STAGE_BYTES` of pinned memory of its own, initialised, live until `Staging` is dropped.
// G2  Whoever has taken a stage has its buffer to himself, but for the copy that its event follows: `take` returns only
//     after that event has passed.

use super::context::Context;
use super::events::Event;
use super::streams::{IN, OUT, Streams};
use super::through::MOST_LANES;
use cudarc::driver::result::{self, DriverError};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::Arc;

/// How long a buffer is: long enough that the driver's own work for a copy is nothing beside it.
pub(super) const STAGE_BYTES: usize = 4 << 20;
/// How many there are at most: two for each thread that fills, two for one that copies out. They are made when all are in use.
const STAGES: usize = 2 * MOST_LANES + 2;
#[derive(Debug)]
pub(super) struct Staging {
    pub(super) context: Arc<Context>,
    pub(super) streams: Arc<Streams>,
    stages: Mutex<Stages>,
    returned: Condvar,
}

#[derive(Debug, Default)]
struct Stages {
    idle: VecDeque<Stage>,
    made: usize,
}

/// One pinned buffer, and the event of the copy that used it last.
#[derive(Debug)]
pub(super) struct Stage {
    start: *mut u8,
    pub(super) event: Event,
    pub(super) in_use: bool,
}

// SAFETY: G1. The buffer is memory of its own, and the pointer to it the only one.
unsafe impl Send for Stage {}

impl Staging {
    pub(super) fn new(context: Arc<Context>, streams: Arc<Streams>) -> Self {
        Staging { context, streams, stages: Mutex::default(), returned: Condvar::new() }
    }

    /// Gives a stage back after a copy was, or was not, enqueued. Where its event could not be recorded, the stream is
    /// waited for: a buffer must not be lent while a copy that nothing follows may still use it.
    pub(super) fn follow(
        &self,
        mut stage: Stage,
        own: usize,
        given: Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let recorded = given.and_then(|()| self.streams.record(&stage.event, own));
        stage.in_use = recorded.is_ok();
        if recorded.is_err() {
            // A stream that cannot be waited for either belongs to a lost device, which copies nothing any more.
            let _ = self.streams.finish_own(own);
        }
        self.put_back(stage);
        recorded
    }

    /// A stage whose buffer nobody uses. Where all are lent, it waits for one to come back; the caller holds none.
    pub(super) fn take(&self) -> Result<Stage, DriverError> {
        loop {
            if let Some(stage) = self.take_idle()? {
                return Ok(stage);
            }
            let mut stages = self.stages.lock();
            // Looked at again under the mutex: one that came back meanwhile rings for nobody.
            if stages.idle.is_empty() && stages.made == STAGES {
                self.returned.wait(&mut stages);
            }
        }
    }

    /// A stage whose buffer nobody uses, unless all are lent: one that is made now, or the one that was given back
    /// longest ago, once its last copy is over.
    pub(super) fn take_idle(&self) -> Result<Option<Stage>, DriverError> {
        let mut stages = self.stages.lock();
        if stages.made < STAGES && stages.idle.iter().all(|stage| stage.in_use) {
            let made = self.make()?;
            stages.made += 1;
            return Ok(Some(made));
        }
        let Some(mut stage) = stages.idle.pop_front() else { return Ok(None) };
        drop(stages);
        let finished = if stage.in_use { self.streams.finish(&stage.event) } else { Ok(()) };
        if finished.is_err() {
            self.put_back(stage);
            return finished.map(|()| None);
        }
        stage.in_use = false;
        Ok(Some(stage))
    }

    pub(super) fn put_back(&self, stage: Stage) {
        self.stages.lock().idle.push_back(stage);
        self.returned.notify_one();
    }

    fn make(&self) -> Result<Stage, DriverError> {
        let _relaxed = self.context.bind_relaxed()?;
        let event = self.streams.events.take()?;
        // Flags 0: the host reads it too, and write-combined memory is slow to read.
        // SAFETY: the driver gives memory of its own, or an error.
        match unsafe { result::malloc_host(STAGE_BYTES, 0) } {
            Ok(start) => {
                // SAFETY: G1. Fresh memory of this length; zeroed, so that it is initialised.
                unsafe { start.cast::<u8>().write_bytes(0, STAGE_BYTES) };
                Ok(Stage { start: start.cast(), event, in_use: false })
            }
            Err(error) => {
                self.streams.events.put_back(event);
                Err(error)
            }
        }
    }
}

impl Stage {
    pub(super) fn bytes(&mut self) -> &mut [u8] {
        // SAFETY: G1, and G2: the stage was taken.
        unsafe { std::slice::from_raw_parts_mut(self.start, STAGE_BYTES) }
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let Ok(_bound) = self.context.bind_relaxed() else { return };
        for stage in self.stages.get_mut().idle.drain(..) {
            if stage.in_use && self.streams.finish(&stage.event).is_err() {
                // Whichever of the two streams it was; one that cannot be waited for belongs to a lost device.
                let _ = self.streams.finish_own(IN).and(self.streams.finish_own(OUT));
            }
            // SAFETY: G1. Nobody has the staging any more, and the stage's last copy is over.
            let _ = unsafe { result::free_host(stage.start.cast()) };
            self.streams.events.put_back(stage.event);
        }
    }
}
