//! The streams that a card's managers know by number, and how one is put behind another.
//!
//! Numbers 0 and 1 are our own: bytes come in (and move) on the one, and go out on the other. The others are the
//! program's, noted when they are first used. A noted stream is kept alive: its work may be waited for long after the
//! program has dropped it. Its number is given to another once the program has dropped it and its work is done; a set
//! that still has the old number then waits for the new stream without need.
#![allow(unsafe_code, reason = "driver calls on streams and events: S1")]
// S1  A raw stream in a slot is live: it is our own until `Streams` is dropped, or the slot has the program's `Arc` of it.
//     A spare event is live until `Streams` is dropped. Calls are made bound to the context that made both.

use super::context::Context;
use super::library::refused;
use crate::memory::DeviceError;
use crate::stream::{StreamId, StreamSet};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{CudaStream, sys};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// Where bytes come in, and are moved.
pub(super) const IN: usize = 0;
/// Where bytes go out.
pub(super) const OUT: usize = 1;

#[derive(Debug)]
pub(super) struct Streams {
    context: Arc<Context>,
    own: [Raw; 2],
    /// For each number the raw stream plus one; 0: nobody. Relaxed: whoever finds his own stream here has it alive.
    raw: [AtomicU64; StreamId::COUNT],
    /// Keeps the program's streams alive. Taken when a stream is noted or waited for, never to find a number.
    noted: Mutex<[Option<Arc<CudaStream>>; StreamId::COUNT]>,
    /// Events that nobody uses at the moment. One that is recorded anew holds nobody up who waited for its old record.
    events: Mutex<Vec<Event>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw(pub(super) sys::CUstream);
#[derive(Debug)]
pub(super) struct Event(sys::CUevent);

// SAFETY: the driver allows both to be used from any thread that is bound to their context.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}
// SAFETY: as above.
unsafe impl Send for Event {}

impl Streams {
    pub(super) fn new(context: Arc<Context>) -> Result<Self, DriverError> {
        let bound = context.bind()?;
        let first = new_stream()?;
        let second = new_stream().inspect_err(|_| destroy(first))?;
        drop(bound);
        let streams = Streams {
            context,
            own: [first, second],
            raw: [const { AtomicU64::new(0) }; StreamId::COUNT],
            noted: Mutex::new([const { None }; StreamId::COUNT]),
            events: Mutex::default(),
        };
        for (slot, stream) in streams.raw.iter().zip(&streams.own) {
            slot.store(number_of(stream.0), Relaxed);
        }
        Ok(streams)
    }

    pub(super) fn own(&self, number: usize) -> sys::CUstream {
        self.own[number].0
    }

    /// The number of a stream of the program's: one scan of a few words where it has one already.
    pub(super) fn number(&self, stream: &Arc<CudaStream>) -> Result<StreamId, DeviceError> {
        let raw = number_of(stream.cu_stream());
        match self.raw.iter().position(|slot| slot.load(Relaxed) == raw) {
            Some(number) => Ok(StreamId::new(number)),
            None => self.note(stream, raw),
        }
    }

    fn note(&self, stream: &Arc<CudaStream>, raw: u64) -> Result<StreamId, DeviceError> {
        let mut noted = self.noted.lock();
        let same = self.raw.iter().position(|slot| slot.load(Relaxed) == raw);
        let empty = || (self.own.len()..StreamId::COUNT).find(|&number| noted[number].is_none());
        let number = match same.or_else(empty) {
            Some(number) => number,
            None => self.reclaim(&mut noted[..])?,
        };
        noted[number] = Some(Arc::clone(stream));
        self.raw[number].store(raw, Relaxed);
        Ok(StreamId::new(number))
    }

    /// A number whose stream the program has dropped; its work is waited for.
    fn reclaim(&self, noted: &mut [Option<Arc<CudaStream>>]) -> Result<usize, DeviceError> {
        let dropped =
            |stream: &Option<Arc<CudaStream>>| stream.as_ref().is_some_and(|stream| Arc::strong_count(stream) == 1);
        let number = noted.iter().position(dropped).ok_or_else(|| {
            DeviceError::new("note a stream", format_args!("{} streams are in use already", StreamId::COUNT))
        })?;
        let stream = noted[number].as_ref().expect("just found");
        let waited = self.context.bind().and_then(|_bound| synchronize(Raw(stream.cu_stream())));
        waited.map_err(|error| refused("wait for a dropped stream", error))?;
        self.raw[number].store(0, Relaxed);
        noted[number] = None;
        Ok(number)
    }

    /// What `then` is given from now on runs after what `first` was given so far.
    pub(super) fn order(&self, first: StreamSet, then: StreamId) -> Result<(), DeviceError> {
        first.without(then).iter().try_for_each(|earlier| {
            let ordered = self.context.bind().and_then(|_bound| {
                let (_kept, behind) = self.live(then);
                self.with_fence(earlier, |event| {
                    // SAFETY: S1. `_kept` keeps the stream alive that is not our own.
                    unsafe {
                        result::stream::wait_event(behind.0, event.0, sys::CUevent_wait_flags::CU_EVENT_WAIT_DEFAULT)
                    }
                })
            });
            ordered.map_err(|error| refused(format_args!("put {then:?} behind {earlier:?}"), error))
        })
    }

    /// The host waits for what the streams were given so far.
    pub(super) fn wait(&self, streams: StreamSet) -> Result<(), DeviceError> {
        streams.iter().try_for_each(|stream| {
            let waited = self.context.bind().and_then(|_bound| {
                // SAFETY: S1.
                self.with_fence(stream, |event| unsafe { result::event::synchronize(event.0) })
            });
            waited.map_err(|error| refused(format_args!("wait for {stream:?}"), error))
        })
    }

    /// Records a fence on a stream and hands it to `user`. The thread is bound.
    fn with_fence(
        &self,
        stream: StreamId,
        user: impl FnOnce(&Event) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let (_kept, raw) = self.live(stream);
        let event = self.event()?;
        // SAFETY: S1.
        let used = unsafe { result::event::record(event.0, raw.0) }.and_then(|()| user(&event));
        self.put_back(event);
        used
    }

    /// A raw stream, and what keeps it alive where it is the program's. A number that nobody has any more (its stream's
    /// work is done) stands for our own first stream, so that a stale set waits for something that exists.
    fn live(&self, stream: StreamId) -> (Option<Arc<CudaStream>>, Raw) {
        if let Some(&own) = self.own.get(stream.number()) {
            return (None, own);
        }
        let kept = self.noted.lock()[stream.number()].clone();
        let raw = kept.as_ref().map_or(self.own[IN], |stream| Raw(stream.cu_stream()));
        (kept, raw)
    }

    /// An event that nobody uses. The thread is bound.
    pub(super) fn event(&self) -> Result<Event, DriverError> {
        let spare = self.events.lock().pop();
        spare.map_or_else(|| result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING).map(Event), Ok)
    }

    pub(super) fn put_back(&self, event: Event) {
        self.events.lock().push(event);
    }

    /// Records an event on one of our own streams. The thread is bound.
    pub(super) fn record(&self, event: &Event, own: usize) -> Result<(), DriverError> {
        // SAFETY: S1.
        unsafe { result::event::record(event.0, self.own(own)) }
    }

    /// Waits for the last record of an event. The thread is bound.
    pub(super) fn finish(&self, event: &Event) -> Result<(), DriverError> {
        // SAFETY: S1.
        unsafe { result::event::synchronize(event.0) }
    }

    /// Waits for everything on one of our own streams. The thread is bound.
    pub(super) fn finish_own(&self, own: usize) -> Result<(), DriverError> {
        synchronize(self.own[own])
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        // What the driver says here has nobody to go to: a lost device has nothing left to give back.
        let Ok(_bound) = self.context.bind() else { return };
        for event in self.events.get_mut().drain(..) {
            // SAFETY: S1. Nobody has a spare event any more.
            let _ = unsafe { result::event::destroy(event.0) };
        }
        self.own.into_iter().for_each(destroy);
    }
}

/// A raw stream as a word that is never 0: the default stream is a null pointer.
fn number_of(stream: sys::CUstream) -> u64 {
    stream as u64 + 1
}

fn new_stream() -> Result<Raw, DriverError> {
    result::stream::create(result::stream::StreamKind::NonBlocking).map(Raw)
}

fn synchronize(stream: Raw) -> Result<(), DriverError> {
    // SAFETY: S1.
    unsafe { result::stream::synchronize(stream.0) }
}

fn destroy(stream: Raw) {
    // SAFETY: S1. The stream is our own, and nobody has it any more.
    let _ = unsafe { result::stream::destroy(stream.0) };
}
