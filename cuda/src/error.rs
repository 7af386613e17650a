//! What the manager refuses, and with which numbers.
//!
//! Each variant is one thing a caller can do next: give up ([`Error::TooLarge`]), make room or wait
//! ([`Error::OutOfMemory`]), mend a source ([`Error::SourceFailed`]), stop using a handle ([`Error::Released`]).

use crate::memory::DeviceError;
use crate::observe::refusal::Refusal;
use freehold_core::{Bytes, HandleKey};
use std::sync::Arc;

/// Why the manager could not do what it was asked. Nothing has changed when one of these is returned, by this request at least: while
/// others pin, raise and take what it was about to evict, some may have left before no more could.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// More than could ever fit, with everything else gone: ask for less, or give the manager a larger budget.
    #[error(
        "{requested} asked of a manager whose largest block can be {capacity}: split it, or raise the budget by {}",
        missing(*requested, *capacity)
    )]
    TooLarge {
        /// What was asked.
        requested: Bytes,
        /// The largest single block the manager could ever hand out.
        capacity: Bytes,
    },
    /// No room, even with everything gone that may go. Nothing was evicted, where nobody else was at work meanwhile.
    #[error(
        "out of memory: {requested} asked, {free} free (longest hole {largest_hole}), {evictable} evictable, {pinned} \
         staying{refusal}"
    )]
    OutOfMemory {
        /// What was asked.
        requested: Bytes,
        /// Free bytes in sum.
        free: Bytes,
        /// The largest free piece.
        largest_hole: Bytes,
        /// Resident bytes that eviction could have freed for this request.
        evictable: Bytes,
        /// Resident bytes that this request may not evict now: pinned, in transit, declared fixed, beyond the spill budget, or of a
        /// priority above the [`Floor`](crate::Floor)'s.
        pinned: Bytes,
        /// Who stands in the way, and what to try.
        refusal: Box<Refusal>,
    },
    /// Two tensors of one model would have the same name.
    #[error("{label:?} is there twice")]
    DuplicateTensor {
        /// The model's label and the tensor's name.
        label: Arc<str>,
    },
    /// The backing source returned an error; the entry is as it was before.
    #[error("the source of {label:?} failed: {reason}")]
    SourceFailed {
        /// The entry's label.
        label: Arc<str>,
        /// What the source said.
        reason: SourceError,
    },
    /// The backing source panicked; the entry is as it was before.
    #[error("the source of {label:?} panicked: {message}")]
    SourcePanicked {
        /// The entry's label.
        label: Arc<str>,
        /// The panic's message, where it had one.
        message: Arc<str>,
    },
    /// The backing source gave another number of bytes than the entry has.
    #[error("the source of {label:?} gave {given} for an entry of {expected}")]
    SourceLength {
        /// The entry's label.
        label: Arc<str>,
        /// The entry's size.
        expected: Bytes,
        /// What came; where too much came, the count up to the piece that was too much.
        given: Bytes,
    },
    /// The handle was released, or its manager closed.
    #[error("handle {key} was released: it has no memory any more")]
    Released {
        /// The handle.
        key: HandleKey,
    },
    /// The manager was closed.
    #[error("the manager is closed")]
    Closed,
    /// This process is a fork of the one that made the manager: the memory is the parent's.
    #[error("this process is a fork: the manager and its memory belong to the parent, make a manager of your own")]
    Forked,
    /// Shared weights exist under this key with another size or other metadata; the existing ones are untouched.
    #[error("shared weights {key:?} exist with {existing}; {asked} was asked")]
    SharedMismatch {
        /// The key.
        key: Arc<str>,
        /// Size and metadata of what exists.
        existing: Arc<str>,
        /// Size and metadata asked for.
        asked: Arc<str>,
    },
    /// Shared weights are immutable: several plugins read the one buffer.
    #[error("shared weights {label:?} are immutable")]
    Immutable {
        /// The entry's label.
        label: Arc<str>,
    },
    /// An allocation was described in a way that cannot be carried out.
    #[error("bad allocation: {0}")]
    BadAllocation(&'static str),
    /// A range outside the buffer was read or written.
    #[error("{length} at byte {start} of a buffer of {buffer}")]
    OutOfRange {
        /// Where the range begins.
        start: u64,
        /// How long it is.
        length: Bytes,
        /// The buffer's size.
        buffer: Bytes,
    },
    /// The device refused.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

/// By how much a capacity is too small.
fn missing(requested: Bytes, capacity: Bytes) -> Bytes {
    Bytes(requested.get().saturating_sub(capacity.get()))
}

/// What a backing source says when it cannot deliver.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(Arc<dyn std::error::Error + Send + Sync>);

impl SourceError {
    /// A source error out of any error or message.
    pub fn new(reason: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        SourceError(Arc::from(reason.into()))
    }
}

impl From<std::io::Error> for SourceError {
    fn from(reason: std::io::Error) -> Self {
        SourceError::new(reason)
    }
}

impl From<Error> for SourceError {
    fn from(reason: Error) -> Self {
        SourceError::new(reason)
    }
}
