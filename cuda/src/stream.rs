//! Stream order: what an entry remembers of the streams that used it, and whom the next user has to be behind.
//!
//! A stream is a number below 64, and a set of them is a word: noting a use is one `fetch_or`, and only where the bit is
//! not set already. No event is recorded at an access. The order is made when somebody needs it: whoever takes a block,
//! moves it or uses it on another stream has the device record a fence on each stream of the set, *then*, which covers
//! everything given to that stream until then, a little more than was needed and never less.
//!
//! ```text
//!   before    streams that the next user has to be behind: who brought or wrote the bytes, or used the block earlier
//!   joined    streams that are behind all of `before` already
//!   users     streams whose work may still touch the bytes: whoever takes the block from us has to be behind them
//! ```

use crate::memory::{DeviceError, DeviceMemory};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One stream of a device, by a number that the device gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(u8);

/// Streams of one device.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct StreamSet(u64);

impl StreamId {
    /// How many streams a device can tell apart.
    pub const COUNT: usize = 64;

    /// The stream of this number.
    ///
    /// **Panics** where the number is not below [`COUNT`](Self::COUNT).
    #[must_use]
    pub fn new(number: usize) -> Self {
        assert!(number < Self::COUNT, "a device numbers its streams below {}", Self::COUNT);
        StreamId(number as u8)
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> usize {
        self.0.into()
    }
}

impl StreamSet {
    /// No stream: nothing to be behind.
    pub const EMPTY: StreamSet = StreamSet(0);

    /// The set whose bit `i` stands for stream `i`.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        StreamSet(bits)
    }

    /// Bit `i` stands for stream `i`.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        self.0
    }

    /// Whether there is nothing to be behind.
    #[must_use]
    #[inline]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether `stream` is one of them.
    #[must_use]
    pub fn contains(self, stream: StreamId) -> bool {
        self.0 & 1 << stream.0 != 0
    }

    /// The streams of both.
    #[must_use]
    pub fn union(self, other: StreamSet) -> StreamSet {
        StreamSet(self.0 | other.0)
    }

    /// These streams without `stream`: it is behind itself anyway.
    #[must_use]
    pub fn without(self, stream: StreamId) -> StreamSet {
        StreamSet(self.0 & !(1 << stream.0))
    }

    /// The streams, lowest number first.
    pub fn iter(self) -> impl Iterator<Item = StreamId> {
        (0..64).map(StreamId).filter(move |&stream| self.contains(stream))
    }
}

impl From<StreamId> for StreamSet {
    fn from(stream: StreamId) -> Self {
        StreamSet(1 << stream.0)
    }
}

impl fmt::Debug for StreamSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(StreamId::number)).finish()
    }
}

/// What one entry remembers of streams.
///
/// Relaxed throughout. `users` grows under a pin, and is read by whoever has the entry to itself: the residency word's
/// unpin (Release) and claim (AcqRel) order the two. `before` changes in exclusive states and under `AccessMut` only, so
/// whoever holds a pin reads a settled value. `joined` only saves work: a stream that does not see itself there is put
/// behind the others once more.
#[derive(Debug, Default)]
pub(crate) struct StreamUse {
    before: AtomicU64,
    joined: AtomicU64,
    users: AtomicU64,
}

impl StreamUse {
    /// The streams that the next to touch the bytes has to be behind.
    #[inline]
    pub(crate) fn before(&self) -> StreamSet {
        StreamSet(self.before.load(Relaxed))
    }

    /// Everybody who may still touch the bytes: whom the next owner of the block has to be behind, or the next writer.
    pub(crate) fn everybody(&self) -> StreamSet {
        StreamSet(self.users.load(Relaxed)).union(self.before())
    }

    /// The bytes are new: they are there, or the block is free for them, once these streams have come so far. For the
    /// thread that has the entry to itself.
    pub(crate) fn begin(&self, before: StreamSet) {
        self.before.store(before.0, Relaxed);
        self.joined.store(0, Relaxed);
        self.users.store(0, Relaxed);
    }

    /// Puts `stream` behind those who came before, and remembers it as a user. Under a pin. Where it did so before, or
    /// nobody came before, this is two loads.
    #[cfg(feature = "cuda")]
    pub(crate) fn join(&self, device: &dyn DeviceMemory, stream: StreamId) -> Result<(), DeviceError> {
        let first = self.before().without(stream);
        if !first.is_empty() && !StreamSet(self.joined.load(Relaxed)).contains(stream) {
            device.order(first, stream)?;
            self.joined.fetch_or(StreamSet::from(stream).0, Relaxed);
        }
        self.note(stream);
        Ok(())
    }

    /// Puts `stream` behind everybody, because it is going to write; those who come later have to be behind it. For the
    /// holder of the only guard.
    #[cfg(feature = "cuda")]
    pub(crate) fn take_over(&self, device: &dyn DeviceMemory, stream: StreamId) -> Result<(), DeviceError> {
        device.order(self.everybody().without(stream), stream)?;
        self.begin(stream.into());
        self.note(stream);
        Ok(())
    }

    /// Remembers a user.
    #[cfg(feature = "cuda")]
    pub(crate) fn note(&self, stream: StreamId) {
        if !StreamSet(self.users.load(Relaxed)).contains(stream) {
            self.users.fetch_or(StreamSet::from(stream).0, Relaxed);
        }
    }

    /// The host waits until the bytes are there. Afterwards nobody has to wait for them any more. Under a pin.
    pub(crate) fn join_host(&self, device: &dyn DeviceMemory) -> Result<(), DeviceError> {
        let before = self.before();
        if !before.is_empty() {
            device.wait(before)?;
            // Of two hosts that wait at once both store the same.
            self.before.store(0, Relaxed);
        }
        Ok(())
    }

    /// The host waits for everybody, because it is going to write. For the holder of the only guard.
    pub(crate) fn take_over_by_host(&self, device: &dyn DeviceMemory) -> Result<(), DeviceError> {
        device.wait(self.everybody())?;
        self.begin(StreamSet::EMPTY);
        Ok(())
    }
}
