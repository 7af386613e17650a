//! Staging: pinned buffers through which bytes of ordinary memory go to the card and come from it.
//!
//! A card copies asynchronously from pinned memory only. Large copies go piece by piece, so that one piece is on its way
//! while the next is being filled; and a very large one is filled by several threads, because one processor copies at a
//! fraction of a card's rate. A buffer that was handed to a copy is not touched before that copy's event has passed
//! (F4); buffers are lent in turn, so the one that is lent next was given away longest ago.
#![allow(unsafe_code, reason = "pinned memory and copies: G1, G2")]
// G1  A stage's buffer is `STAGE_BYTES` of pinned memory of its own, initialised, live until `Staging` is dropped.
// G2  Whoever has taken a stage has its buffer to himself, but for the copy that its event follows: `take` returns only
//     after that event has passed.

use super::context::Context;
use super::events::Event;
use super::library::refused;
use super::streams::{IN, OUT, Streams};
use crate::memory::{Address, DeviceError};
use cudarc::driver::result::{self, DriverError};
use parking_lot::{Condvar, Mutex};
use std::collections::VecDeque;
use std::sync::{Arc, OnceLock};
use std::thread::Builder;

/// How long a buffer is: long enough that the driver's own work for a copy is nothing beside it.
pub(super) const STAGE_BYTES: usize = 4 << 20;
/// How many there are at most: two for each thread that fills, two for one that copies out. They are made when all are in use.
const STAGES: usize = 2 * MOST_LANES + 2;
/// How many threads fill buffers for one copy, and how much each is given at least: to start one takes as long as to copy some
/// hundred KiB.
const MOST_LANES: usize = 4;
const LANE_BYTES: usize = 16 << 20;

#[derive(Debug)]
pub(super) struct Staging {
    context: Arc<Context>,
    streams: Arc<Streams>,
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
struct Stage {
    start: *mut u8,
    event: Event,
    in_use: bool,
}

// SAFETY: G1. The buffer is memory of its own, and the pointer to it the only one.
unsafe impl Send for Stage {}

impl Staging {
    pub(super) fn new(context: Arc<Context>, streams: Arc<Streams>) -> Self {
        Staging { context, streams, stages: Mutex::default(), returned: Condvar::new() }
    }

    /// Copies to the card, on the stream for bytes that come in; `from` has been read when this returns, and the bytes are
    /// there when that stream has come so far.
    ///
    /// # Safety
    /// `to` and the bytes behind it lie in one live region, and nobody touches them who is not ordered with the stream.
    pub(super) unsafe fn copy_in(&self, to: Address, from: &[u8]) -> Result<(), DeviceError> {
        let lanes = lanes(from.len());
        std::thread::scope(|scope| {
            // SAFETY: the caller's promise, passed on; no two lanes have a piece in common.
            let lane = move |lane| unsafe { self.copy_lane(to, from, lane, lanes) };
            let start = |other| (other, Builder::new().spawn_scoped(scope, move || lane(other)).ok());
            let others: Vec<_> = (1..lanes).map(start).collect();
            let own = lane(0);
            others.into_iter().fold(own, |all, (other, thread)| {
                // Where the system had no thread for it, its pieces are copied here.
                let done = thread.map_or_else(|| lane(other), |thread| thread.join().expect("a lane only copies"));
                all.and(done)
            })
        })
    }

    /// Copies every piece that is `lane`'s turn.
    ///
    /// # Safety
    /// As `copy_in`, for these pieces.
    unsafe fn copy_lane(&self, to: Address, from: &[u8], lane: usize, lanes: usize) -> Result<(), DeviceError> {
        let starts = (0_u64..).step_by(STAGE_BYTES);
        from.chunks(STAGE_BYTES).zip(starts).skip(lane).step_by(lanes).try_for_each(|(piece, start)| {
            let filled = self.context.bind().and_then(|_bound| {
                let mut stage = self.take()?;
                stage.bytes()[..piece.len()].copy_from_slice(piece);
                // SAFETY: the caller's promise for the target; G2: nobody fills the buffer before the event has passed.
                let given = unsafe {
                    result::memcpy_htod_async(to.0 + start, &stage.bytes()[..piece.len()], self.streams.own(IN))
                };
                self.follow(stage, IN, given)
            });
            filled.map_err(|error| refused(format_args!("copy {} bytes to the card", from.len()), error))
        })
    }

    /// Copies from the card, on the stream for bytes that go out; complete on return. While one piece is taken out of its
    /// buffer, the next is on its way.
    ///
    /// # Safety
    /// `from` and the bytes behind it lie in one live region, and nobody writes them who is not ordered with the stream.
    pub(super) unsafe fn copy_out(&self, to: &mut [u8], from: Address) -> Result<(), DeviceError> {
        let action = format!("copy {} bytes from the card", to.len());
        let mut on_its_way: Option<(Stage, &mut [u8])> = None;
        let starts = (0_u64..).step_by(STAGE_BYTES);
        let bound = self.context.bind().map_err(|error| refused(&action, error))?;
        let mut result = to.chunks_mut(STAGE_BYTES).zip(starts).try_for_each(|(piece, start)| {
            let mut stage = match self.take_idle()? {
                Some(stage) => stage,
                None => {
                    // All are lent. Ours comes back first: nobody holds one stage while he waits for another.
                    on_its_way.take().map_or(Ok(()), |(stage, piece)| self.take_out(stage, piece))?;
                    self.take()?
                }
            };
            // SAFETY: the caller's promise for the source; G2: nobody reads the buffer before the event has passed.
            let given = unsafe {
                result::memcpy_dtoh_async(&mut stage.bytes()[..piece.len()], from.0 + start, self.streams.own(OUT))
            };
            let recorded = given.and_then(|()| self.streams.record(&stage.event, OUT));
            if recorded.is_err() {
                return self.follow(stage, OUT, recorded);
            }
            stage.in_use = true;
            on_its_way.replace((stage, piece)).map_or(Ok(()), |(stage, piece)| self.take_out(stage, piece))
        });
        if let Some((stage, piece)) = on_its_way {
            let last = self.take_out(stage, piece);
            result = result.and(last);
        }
        drop(bound);
        result.map_err(|error| refused(action, error))
    }

    /// Waits for a stage's copy, takes its bytes, and gives the stage back.
    fn take_out(&self, mut stage: Stage, to: &mut [u8]) -> Result<(), DriverError> {
        let finished = self.streams.finish(&stage.event);
        if finished.is_ok() {
            stage.in_use = false;
            to.copy_from_slice(&stage.bytes()[..to.len()]);
        }
        self.put_back(stage);
        finished
    }

    /// Gives a stage back after a copy was, or was not, enqueued. Where its event could not be recorded, the stream is
    /// waited for: a buffer must not be lent while a copy that nothing follows may still use it.
    fn follow(&self, mut stage: Stage, own: usize, given: Result<(), DriverError>) -> Result<(), DriverError> {
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
    fn take(&self) -> Result<Stage, DriverError> {
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
    fn take_idle(&self) -> Result<Option<Stage>, DriverError> {
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

    fn put_back(&self, stage: Stage) {
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

/// How many threads are to fill buffers for a copy of so many bytes.
fn lanes(bytes: usize) -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let processors = *PROCESSORS.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    (bytes / LANE_BYTES).clamp(1, MOST_LANES.min(processors))
}

impl Stage {
    fn bytes(&mut self) -> &mut [u8] {
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
