//! A range of a file, mapped: for files that nobody else can touch.
#![allow(unsafe_code, reason = "a map is memory that other processes can change: M1, which whoever maps promises")]
// M1  While a `MappedRange` lives, nobody writes or truncates its file: promised by the caller of `MappedRange::open`.

use super::file::{check_range, open};
use super::{FileError, Sink, Source};
use crate::error::SourceError;
use freehold_core::Bytes;
use memmap2::{Mmap, MmapOptions};
use std::path::Path;
use std::sync::Arc;

/// Some bytes of a file as memory. Not the default: see [`FileRange`](super::FileRange) for what reads instead.
///
/// Its hazard: where the file becomes shorter than it was, the next access of what is gone kills the process with
/// SIGBUS, and no error can be returned. Its worth: the bytes can be looked at without a copy
/// ([`as_slice`](Self::as_slice)), and what the system already holds of the file is used as it is.
#[derive(Clone, Debug)]
pub struct MappedRange {
    // `None`: an empty range, which no system maps.
    map: Option<Arc<Mmap>>,
}

impl MappedRange {
    /// Maps the `bytes` of the file at `path` from `start` on.
    ///
    /// # Safety
    /// As long as the range or a clone of it lives, no process writes or truncates the file (M1). A file that was unlinked
    /// after this call, or one on a read-only file system, cannot be reached by others; a file that is merely not
    /// expected to change can.
    ///
    /// # Errors
    /// [`FileError`], the range's end beyond the file's included.
    pub unsafe fn open(path: impl AsRef<Path>, start: u64, bytes: Bytes) -> Result<Self, FileError> {
        let path = path.as_ref();
        let (file, length) = open(path)?;
        check_range(start, bytes, length)?;
        if bytes == Bytes::ZERO {
            return Ok(MappedRange { map: None });
        }
        let mut options = MmapOptions::new();
        options.offset(start).len(bytes.get() as usize);
        // SAFETY: M1 by this function's contract, and the range was just checked to lie in the file.
        let map = unsafe { options.map(&file) };
        let map = map.map_err(|reason| FileError::Io { path: path.to_owned(), reason })?;
        Ok(MappedRange { map: Some(Arc::new(map)) })
    }

    /// How long the range is.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes(self.as_slice().len() as u64)
    }

    /// The bytes themselves.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.map.as_deref().map_or(&[], |map| map)
    }
}

impl Source for MappedRange {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        sink.write(self.as_slice())
    }
}
