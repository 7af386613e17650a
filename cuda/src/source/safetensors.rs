//! A safetensors file: a header that names tensors, and behind it their bytes.
//!
//! ```text
//!   8 bytes       header bytes                                    data
//!   [length LE] [ {"name": {dtype, shape, data_offsets}, ...} ] [ tensor | tensor | ... ] end of file
//! ```
//!
//! The header comes from strangers. Its length is judged against the file's before a byte of memory is taken for it, the
//! safetensors crate checks that the tensors follow each other without a gap and are as long as type and shape say, and
//! what they come to must be what the file holds. Only the header is read here: a tensor's bytes are read, as a
//! [`FileRange`], when somebody needs them.

use super::file::{open, read_exact_at};
use super::{FileError, FileRange};
use freehold_core::Bytes;
use safetensors::tensor::Metadata;
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use safetensors::Dtype;

/// The longest header, as the format has it. Files as they are made come to a twentieth of that at most.
const HEADER_LIMIT: Bytes = Bytes(100_000_000);

/// The header's length stands before it.
const PREFIX_BYTES: u64 = 8;

/// An open safetensors file: its tensors by name, in the order in which they lie in the file.
///
/// ```no_run
/// use freehold_cuda::source::Safetensors;
///
/// let file = Safetensors::open("model.safetensors")?;
/// for tensor in file.tensors() {
///     println!("{} {} {:?}: {}", tensor.name(), tensor.dtype(), tensor.shape(), tensor.bytes());
/// }
/// # Ok::<(), freehold_cuda::source::SafetensorsError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Safetensors {
    tensors: Arc<[FileTensor]>,
    by_name: Arc<HashMap<Arc<str>, usize>>,
}

/// One tensor of a file: what it is, and the range its bytes are in.
#[derive(Clone, Debug)]
pub struct FileTensor {
    name: Arc<str>,
    dtype: Dtype,
    shape: Box<[usize]>,
    range: FileRange,
}

/// Why a file is not taken for a safetensors file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsError {
    /// It could not be opened or read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is too short to say how long its header is.
    #[error("a file of {file} holds no safetensors header")]
    NoHeader {
        /// How long the file is.
        file: Bytes,
    },
    /// Its header is said to be longer than is allowed.
    #[error("a safetensors header of {header}, where {limit} are allowed")]
    HeaderTooLarge {
        /// What the file says.
        header: Bytes,
        /// What the format, or the caller, allows.
        limit: Bytes,
    },
    /// Its header is said to end behind the file: it was cut off, or is no safetensors file.
    #[error("a safetensors header of {header} in a file of {file}")]
    HeaderCut {
        /// What the file says.
        header: Bytes,
        /// How long the file is.
        file: Bytes,
    },
    /// Its header is not what the format describes: bad JSON, an unknown type, a gap or an overlap between tensors, a
    /// length that is not the shape's.
    #[error("a malformed safetensors header of {header}: {reason}")]
    Malformed {
        /// How long it is.
        header: Bytes,
        /// What was found.
        reason: Arc<str>,
    },
    /// The tensors come to something else than what lies behind the header: the file was cut off, or added to.
    #[error("safetensors of {described} described, and {held} in the file")]
    DataLength {
        /// What the header says.
        described: Bytes,
        /// What is there.
        held: Bytes,
    },
}

impl Safetensors {
    /// Opens the file at `path` and reads its header.
    ///
    /// **Complexity**: one read of the header; tensors are sorted by where they lie. Parsing takes at most some twenty
    /// times the header in memory for a moment (measured on headers made to hurt), and a header is at most as long as its
    /// file: see [`open_with_limit`](Self::open_with_limit) where that is too much.
    ///
    /// # Errors
    /// [`SafetensorsError`], with the numbers that disagree.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, SafetensorsError> {
        Safetensors::open_with_limit(path, HEADER_LIMIT)
    }

    /// As [`open`](Self::open), for files of strangers: refuses a header of more than `limit` before memory is taken for
    /// it. A megabyte is enough for some five thousand tensors.
    ///
    /// # Errors
    /// As `open`.
    pub fn open_with_limit(path: impl AsRef<Path>, limit: Bytes) -> Result<Self, SafetensorsError> {
        let path = path.as_ref();
        let (file, length) = open(path)?;
        let reader = Reader { path, file, length };
        let header = reader.header_bytes(limit.min(HEADER_LIMIT))?;
        let metadata = reader.header(header)?;
        let data_start = PREFIX_BYTES + header.get();
        let (described, held) = (Bytes(metadata.data_len() as u64), Bytes(length.get() - data_start));
        if described != held {
            return Err(SafetensorsError::DataLength { described, held });
        }
        let tensors = tensors(&metadata, &Arc::new(reader.file), length, data_start)?;
        let by_name = tensors.iter().map(|tensor| Arc::clone(&tensor.name)).zip(0..).collect();
        Ok(Safetensors { tensors: tensors.into(), by_name: Arc::new(by_name) })
    }

    /// All tensors, as they lie in the file.
    #[must_use]
    pub fn tensors(&self) -> &[FileTensor] {
        &self.tensors
    }

    /// The tensor called `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&FileTensor> {
        self.by_name.get(name).map(|&index| &self.tensors[index])
    }
}

impl FileTensor {
    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The type of its elements.
    #[must_use]
    pub fn dtype(&self) -> Dtype {
        self.dtype
    }

    /// Its dimensions, outermost first; none for a scalar.
    #[must_use]
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// How long it is.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.range.bytes()
    }

    /// Its bytes, as a source. The file stays open as long as any of its ranges lives.
    #[must_use]
    pub fn range(&self) -> FileRange {
        self.range.clone()
    }

    pub(crate) fn shared_name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }
}

/// An open file that may be what it is said to be.
struct Reader<'a> {
    path: &'a Path,
    file: File,
    length: Bytes,
}

impl Reader<'_> {
    /// How long the header is, by what the file says and can be true.
    fn header_bytes(&self, limit: Bytes) -> Result<Bytes, SafetensorsError> {
        let file = self.length;
        let room = file.get().checked_sub(PREFIX_BYTES).ok_or(SafetensorsError::NoHeader { file })?;
        let mut prefix = [0; PREFIX_BYTES as usize];
        self.read(&mut prefix, 0)?;
        let header = Bytes(u64::from_le_bytes(prefix));
        if header.get() > room {
            return Err(SafetensorsError::HeaderCut { header, file });
        }
        if header > limit {
            return Err(SafetensorsError::HeaderTooLarge { header, limit });
        }
        Ok(header)
    }

    /// The header, parsed and checked in itself.
    fn header(&self, header: Bytes) -> Result<Metadata, SafetensorsError> {
        let mut text = vec![0; header.get() as usize];
        self.read(&mut text, PREFIX_BYTES)?;
        serde_json::from_slice(&text)
            .map_err(|error| SafetensorsError::Malformed { header, reason: error.to_string().into() })
    }

    fn read(&self, piece: &mut [u8], at: u64) -> Result<(), FileError> {
        let failed = |reason| FileError::Io { path: PathBuf::from(self.path), reason };
        read_exact_at(&self.file, piece, at).map_err(failed)
    }
}

/// The tensors in file order, each with its range of the file.
fn tensors(
    metadata: &Metadata,
    file: &Arc<File>,
    length: Bytes,
    data_start: u64,
) -> Result<Vec<FileTensor>, FileError> {
    let described = metadata.offset_keys().into_iter().filter_map(|name| Some((metadata.info(&name)?, name)));
    let tensor = |(info, name): (&safetensors::tensor::TensorInfo, String)| {
        let (start, end) = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        let range = FileRange::within(Arc::clone(file), length, data_start + start, Bytes(end - start))?;
        Ok(FileTensor { name: name.into(), dtype: info.dtype, shape: info.shape.clone().into(), range })
    };
    described.map(tensor).collect()
}
