//! A range of a file, read when it is needed.
//!
//! It is read, not mapped. A map of a file that somebody truncates kills the process (SIGBUS) at the first byte that is
//! gone, and a plugin's model file is not ours to guard; a read of the same byte is an error that the access returns (C5).
//! The map saves a copy only where the host can reach the device's memory, and there the read goes straight into the
//! entry's buffer, which is that one copy. Whoever owns the file and wants the map has [`MappedRange`](super::MappedRange).

use super::{Sink, Source};
use crate::error::SourceError;
use freehold_core::Bytes;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Some bytes of a file: checked to be there when it is made, read anew at each materialisation.
///
/// Clones, and the tensors of one [`Safetensors`](super::Safetensors), share one open file. The file may be renamed or
/// unlinked meanwhile; it must not be rewritten, or the content changes with it.
///
/// **Complexity**: one positioned read of the whole range, in pieces of 1 MiB where the device is out of the host's reach.
///
/// ```
/// use freehold_cuda::source::FileRange;
/// use freehold_cuda::{Allocation, Bytes, VramManager};
///
/// # let path = std::env::temp_dir().join(format!("freehold-doc-range-{}", std::process::id()));
/// std::fs::write(&path, b"head and weights")?;
/// let weights = FileRange::open(&path, 9, Bytes(7))?;
///
/// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
/// let handle = manager.register(Allocation::new(weights.bytes()).source(weights))?;
/// assert_eq!(handle.access()?.as_host_slice(), Some(&b"weights"[..]));
/// # std::fs::remove_file(&path)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileRange {
    file: Arc<File>,
    start: u64,
    bytes: Bytes,
}

/// Why a file, or a range of it, cannot be a source.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// The file could not be opened, asked for its length, or mapped.
    #[error("{}: {reason}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        reason: io::Error,
    },
    /// The range does not lie in the file: ask for less, or look for the rest of a file that is not all there.
    #[error("{bytes} from byte {start} on, of a file of {file}")]
    OutOfRange {
        /// Where the range begins.
        start: u64,
        /// How long it is.
        bytes: Bytes,
        /// How long the file is.
        file: Bytes,
    },
}

impl FileRange {
    /// The `bytes` of the file at `path` from `start` on.
    ///
    /// # Errors
    /// [`FileError`], the range's end beyond the file's included.
    pub fn open(path: impl AsRef<Path>, start: u64, bytes: Bytes) -> Result<Self, FileError> {
        let (file, length) = open(path.as_ref())?;
        FileRange::within(Arc::new(file), length, start, bytes)
    }

    /// All bytes of the file at `path`, as many as there are now.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub fn whole(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let (file, bytes) = open(path.as_ref())?;
        Ok(FileRange { file: Arc::new(file), start: 0, bytes })
    }

    /// A range of an open file of known `length`.
    pub(super) fn within(file: Arc<File>, length: Bytes, start: u64, bytes: Bytes) -> Result<Self, FileError> {
        check_range(start, bytes, length)?;
        Ok(FileRange { file, start, bytes })
    }

    /// How long the range is.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.bytes
    }
}

impl Source for FileRange {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        sink.read_from(self.bytes.get(), |at, piece| {
            read_exact_at(&self.file, piece, self.start + at).map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => self.shrunk(),
                _ => SourceError::new(error),
            })
        })
    }
}

impl FileRange {
    /// The range was in the file when it was made, and is not now.
    fn shrunk(&self) -> SourceError {
        let Ok(now) = self.file.metadata() else { return SourceError::new("the file has become shorter") };
        SourceError::new(FileError::OutOfRange { start: self.start, bytes: self.bytes, file: Bytes(now.len()) })
    }
}

/// An open file and its length.
pub(super) fn open(path: &Path) -> Result<(File, Bytes), FileError> {
    let failed = |reason| FileError::Io { path: path.to_owned(), reason };
    let file = File::open(path).map_err(failed)?;
    let length = file.metadata().map_err(failed)?.len();
    Ok((file, Bytes(length)))
}

pub(super) fn check_range(start: u64, bytes: Bytes, file: Bytes) -> Result<(), FileError> {
    let inside = start.checked_add(bytes.get()).is_some_and(|end| end <= file.get());
    if inside { Ok(()) } else { Err(FileError::OutOfRange { start, bytes, file }) }
}

/// Fills `piece` from byte `at` of the file on. The file's own position is neither used nor, on unix, moved.
#[cfg(unix)]
pub(super) fn read_exact_at(file: &File, piece: &mut [u8], at: u64) -> io::Result<()> {
    std::os::unix::fs::FileExt::read_exact_at(file, piece, at)
}

/// Fills `piece` from byte `at` of the file on. Each turn of the loop has read something, or is the last.
#[cfg(windows)]
pub(super) fn read_exact_at(file: &File, mut piece: &mut [u8], mut at: u64) -> io::Result<()> {
    while !piece.is_empty() {
        match std::os::windows::fs::FileExt::seek_read(file, piece, at)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => (piece, at) = (&mut piece[read..], at + read as u64),
        }
    }
    Ok(())
}
