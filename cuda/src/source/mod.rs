//! Where bytes can be had again: the backing source, and the sink it pours them into.
//!
//! A source is called once per materialisation (C4), with no internal lock held (C8), and must give exactly the
//! entry's bytes: the sink counts (C7). It lives as long as any handle needs it, goes with the last, and is never called
//! after that (C13); one that a prefetch is in the middle of calling goes when that call returns.
//!
//! | source | the bytes are | choose it for |
//! | --- | --- | --- |
//! | [`HostBytes`] | in ordinary memory, shared | what the process has anyway |
//! | [`PinnedBytes`] | in page-aligned memory that a driver can register | what must come back fast |
//! | [`FileRange`] | in a file, read when they are needed | weights; the default for files |
//! | [`Safetensors`] | in a file, under names | models |
//! | [`MappedRange`] | in a file, mapped | files that nobody else can touch |
//! | [`closure`], [`writer`] | whatever a function makes | all else |

mod file;
mod mapped;
mod pinned;
mod safetensors;
mod sink;

pub use file::{FileError, FileRange};
pub use mapped::MappedRange;
pub use pinned::PinnedBytes;
pub use safetensors::{Dtype, FileTensor, Safetensors, SafetensorsError};
pub use sink::Sink;

use crate::error::SourceError;
use std::sync::Arc;

/// Something that can produce an entry's bytes, again and again, always the same. Called on the thread that accesses the
/// entry first, or on the manager's own for a prefetch.
pub trait Source: Send + Sync {
    /// Writes the entry's bytes, all of them and no more. It may use the manager and read other handles; reading the entry
    /// that it is called for would wait for itself.
    ///
    /// # Errors
    /// Whatever kept the bytes from coming. The entry is then as it was before, and the next access asks again (C5).
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError>;
}

impl<S: Source + ?Sized> Source for Arc<S> {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        (**self).fill(sink)
    }
}

/// Bytes in ordinary memory, shared with whoever else holds them.
#[derive(Clone, Debug)]
pub struct HostBytes(pub Arc<[u8]>);

impl Source for HostBytes {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        sink.write(&self.0)
    }
}

/// A source that is given the whole buffer to fill. Not for sources that may come up short: see [`writer`].
///
/// ```
/// let zeros = freehold_cuda::source::closure(|target| {
///     target.fill(0);
///     Ok(())
/// });
/// # let _ = zeros;
/// ```
pub fn closure(fill: impl Fn(&mut [u8]) -> Result<(), SourceError> + Send + Sync) -> impl Source {
    writer(move |sink: &mut Sink<'_>| sink.fill_with(&fill))
}

/// A source that writes piece by piece; [`Sink`] is an [`io::Write`](std::io::Write).
pub fn writer(write: impl Fn(&mut Sink<'_>) -> Result<(), SourceError> + Send + Sync) -> impl Source {
    struct Writer<F>(F);
    impl<F: Fn(&mut Sink<'_>) -> Result<(), SourceError> + Send + Sync> Source for Writer<F> {
        fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
            (self.0)(sink)
        }
    }
    Writer(write)
}
