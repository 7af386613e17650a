//! A card's streams: three of our own, and how one stream is put behind another.
//!
//! Bytes come in on the first, go out on the second and are moved inside the card on the third, so that none of the three stands
//! behind another but where an event says so. The program's streams have the numbers above (`noted`).
#![allow(unsafe_code, reason = "driver calls on streams and events: S1")]
// S1  A raw stream is live: it is our own until `Streams` is dropped, or whoever calls has an `Arc` of it. An event is
//     live while one has it. Calls are made bound to the context that made both.

use super::context::Context;
use super::events::{Event, Events};
use super::library::refused;
use super::noted::Noted;
use crate::memory::DeviceError;
use crate::stream::{StreamId, StreamSet};
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{CudaStream, sys};
use std::sync::Arc;

/// Where bytes come in.
pub(super) const IN: usize = 0;
/// Where bytes go out.
pub(super) const OUT: usize = 1;
/// Where bytes are moved.
pub(super) const INSIDE: usize = 2;
/// How many streams are our own.
pub(super) const OWN: usize = 3;

#[derive(Debug)]
pub(super) struct Streams {
    context: Arc<Context>,
    /// As many as `OWN`, once they are made.
    own: Vec<Raw>,
    /// The program's.
    pub(super) noted: Noted,
    pub(super) events: Events,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Raw(pub(super) sys::CUstream);

// SAFETY: the driver allows both to be used from any thread that is bound to their context.
unsafe impl Send for Raw {}
// SAFETY: as above.
unsafe impl Sync for Raw {}

impl Streams {
    pub(super) fn new(context: Arc<Context>) -> Result<Self, DriverError> {
        let mut streams =
            Streams { context, own: Vec::with_capacity(OWN), noted: Noted::default(), events: Events::default() };
        let bound = streams.context.bind()?;
        for _ in 0..OWN {
            // What was made so far goes with `streams`, should the next be refused.
            streams.own.push(new_stream()?);
        }
        drop(bound);
        Ok(streams)
    }

    pub(super) fn own(&self, number: usize) -> sys::CUstream {
        self.own[number].0
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
    ///
    /// A stream of the program's on which a graph is being captured is refused: what it was given before the capture can be
    /// waited for by nobody until the capture has ended, and a record now would become part of the graph, and with it
    /// whatever is put behind it.
    fn with_fence(
        &self,
        stream: StreamId,
        user: impl FnOnce(&Event) -> Result<(), DriverError>,
    ) -> Result<(), DriverError> {
        let (kept, raw) = self.live(stream);
        if kept.is_some() && is_capturing(raw)? {
            return Err(DriverError(sys::CUresult::CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED));
        }
        let event = self.events.take()?;
        // SAFETY: S1.
        let used = unsafe { result::event::record(event.0, raw.0) }.and_then(|()| user(&event));
        self.events.put_back(event);
        used
    }

    /// A raw stream, and what keeps it alive where it is the program's. A number that nobody has any more (its stream's
    /// work is done) stands for our own first stream, so that a stale set waits for something that exists.
    fn live(&self, stream: StreamId) -> (Option<Arc<CudaStream>>, Raw) {
        if let Some(&own) = self.own.get(stream.number()) {
            return (None, own);
        }
        let kept = self.noted.stream(stream);
        let raw = kept.as_ref().map_or(self.own[IN], |stream| Raw(stream.cu_stream()));
        (kept, raw)
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
        self.events.end();
        self.own.drain(..).for_each(destroy);
    }
}

fn new_stream() -> Result<Raw, DriverError> {
    result::stream::create(result::stream::StreamKind::NonBlocking).map(Raw)
}

/// Whether what a stream is given goes into a graph instead of to the card. The thread is bound.
pub(super) fn is_capturing(stream: Raw) -> Result<bool, DriverError> {
    // SAFETY: S1, or the caller's own stream, which lives.
    let status = unsafe { result::stream::is_capturing(stream.0) }?;
    Ok(status != sys::CUstreamCaptureStatus::CU_STREAM_CAPTURE_STATUS_NONE)
}

/// The host waits for everything on a stream. The thread is bound.
pub(super) fn synchronize(stream: Raw) -> Result<(), DriverError> {
    // SAFETY: S1.
    unsafe { result::stream::synchronize(stream.0) }
}

fn destroy(stream: Raw) {
    // SAFETY: S1. The stream is our own, and nobody has it any more.
    let _ = unsafe { result::stream::destroy(stream.0) };
}
