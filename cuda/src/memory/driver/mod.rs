//! A card's memory through cudarc: arenas by plain device allocation, copies on three streams of our own, order by events.
//!
//! ```text
//!   bytes come in    pageable --> staging (pinned) --> stream 0 --> card      the host copies, then goes on
//!                    pinned ------------------------> stream 0 --> card      the host goes on at once
//!   bytes go out     card --> stream 1 --> staging --> pageable              the host waits
//!   bytes move       card --> stream 2 --> card                              the host goes on at once
//! ```
//!
//! Nothing here waits for a stream of the program's on the host: our streams are put behind it by an event.
// V1  Calls are made bound to the context that owns the region, the stream and the event they name (`Context::bind`).

mod library;

// What a card is reached through.
mod context;
mod events;
mod noted;
mod streams;

// What its bytes come from and go to.
mod pinned;
mod regions;
mod staging;
mod through;

// The card itself, as the manager sees it.
mod device;
mod pieces;

pub use library::{Card, devices, driver_version};

use self::context::Context;
use self::library::{ordinal_of, refused, uuid_of};
use self::pinned::PinnedRanges;
use self::regions::Regions;
use self::staging::Staging;
use self::streams::{IN, Raw, Streams, is_capturing};
use super::DeviceError;
use crate::stream::StreamId;
use cudarc::driver::{CudaContext, CudaStream};
use std::sync::Arc;

/// One card. Several managers may share it, each with arenas of its own.
#[derive(Debug)]
pub struct CudaDevice {
    // In the order of their end: staging gives its events back to the streams, and all are in the context.
    staging: Staging,
    streams: Arc<Streams>,
    pinned: PinnedRanges,
    regions: Regions,
    context: Arc<Context>,
}

impl CudaDevice {
    /// The card of this number, by its primary context, which cudarc's `CudaContext::new` gives too.
    ///
    /// # Errors
    /// No driver, no such card, or the driver's refusal.
    pub fn new(ordinal: usize) -> Result<Arc<Self>, DeviceError> {
        CudaDevice::open(Context::of(ordinal)?)
    }

    /// The card of this name, as [`Card::uuid`] has it, or with `MIG-` before it, as the driver's tools name a part of a card;
    /// upper and lower case are the same. No other card is opened.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn by_uuid(uuid: &str) -> Result<Arc<Self>, DeviceError> {
        let ordinal = ordinal_of(uuid)?;
        let none = || DeviceError::new(format_args!("open card {uuid}"), "the driver lists no such card");
        CudaDevice::new(ordinal.ok_or_else(none)?)
    }

    /// The card of a context that the program has already.
    ///
    /// # Errors
    /// The driver's refusal.
    pub fn from_context(context: Arc<CudaContext>) -> Result<Arc<Self>, DeviceError> {
        CudaDevice::open(Context::shared(context))
    }

    fn open(context: Context) -> Result<Arc<Self>, DeviceError> {
        let context = Arc::new(context);
        let streams = Streams::new(Arc::clone(&context)).map_err(|error| refused("make streams", error))?;
        let streams = Arc::new(streams);
        let staging = Staging::new(Arc::clone(&context), Arc::clone(&streams));
        Ok(Arc::new(CudaDevice {
            staging,
            streams,
            pinned: PinnedRanges::default(),
            regions: Regions::default(),
            context,
        }))
    }

    /// The context, for streams and kernels of the program's own.
    #[must_use]
    pub fn context(&self) -> &Arc<CudaContext> {
        self.context.cudarc()
    }

    /// The card's own name, as [`Card::uuid`].
    ///
    /// # Errors
    /// The driver cannot be asked.
    pub fn uuid(&self) -> Result<String, DeviceError> {
        uuid_of(self.context.device()).map_err(|error| refused("ask for the card's name", error))
    }

    /// The number of a stream of the program's, which is kept alive from now on. Refused while a graph is being captured
    /// on it (F5): what a graph does happens when it is launched, and an address is promised for now only. And the default
    /// stream that each thread has of its own, which no other thread could put anything behind.
    pub(crate) fn stream_id(&self, stream: &Arc<CudaStream>) -> Result<StreamId, DeviceError> {
        let action = "use a stream";
        if stream.context().cu_ctx() != self.context().cu_ctx() {
            return Err(DeviceError::new(action, "it belongs to another context than the manager's card"));
        }
        let capturing = self.context.bind().and_then(|_bound| is_capturing(Raw(stream.cu_stream())));
        match capturing.map_err(|error| refused(action, error))? {
            false => self.streams.noted.number(&self.context, stream),
            true => Err(DeviceError::new(action, "a graph is being captured on it")),
        }
    }

    /// Waits for everything that comes in.
    fn finish_copies(&self) -> Result<(), DeviceError> {
        let finished = self.context.bind().and_then(|_bound| self.streams.finish_own(IN));
        finished.map_err(|error| refused("wait for copies to the card", error))
    }
}
