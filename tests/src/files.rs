//! Files that last as long as a test: plain ones, and small models.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// A file of its own, removed when dropped.
#[derive(Debug)]
pub struct ScratchFile(PathBuf);

impl ScratchFile {
    /// A file that holds `content`.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn of(content: &[u8]) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("freehold-{}-{}", std::process::id(), NEXT.fetch_add(1, Relaxed));
        let file = ScratchFile(std::env::temp_dir().join(name));
        std::fs::write(&file.0, content).expect("the temporary folder takes a file");
        file
    }

    /// A safetensors file of one-dimensional `U8` tensors, written by hand: what reads it must not be what wrote it.
    ///
    /// # Panics
    /// Where it cannot be written.
    #[must_use]
    pub fn model(tensors: &[(&str, &[u8])]) -> Self {
        let (mut entries, mut data) = (Vec::new(), Vec::new());
        for (name, bytes) in tensors {
            let (start, length) = (data.len(), bytes.len());
            let offsets = format!("[{start},{}]", start + length);
            entries.push(format!(r#""{name}":{{"dtype":"U8","shape":[{length}],"data_offsets":{offsets}}}"#));
            data.extend_from_slice(bytes);
        }
        let header = format!("{{{}}}", entries.join(","));
        ScratchFile::of(&[&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for ScratchFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Bytes that differ by place and by `seed`, so that a mix-up shows.
#[must_use]
pub fn pattern(seed: u64, length: usize) -> Vec<u8> {
    let word =
        |index: u64| (seed ^ index.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 24;
    (0..length as u64).map(|index| word(index) as u8).collect()
}

/// Every Rust source under `folder`, in the order of their paths.
///
/// # Panics
/// Where there is no such folder.
#[must_use]
pub fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry of the folder").path()).collect();
    paths.sort();
    let of = |path: PathBuf| if path.is_dir() { sources(&path) } else { vec![path] };
    paths.into_iter().flat_map(of).filter(|path| path.extension().is_some_and(|end| end == "rs")).collect()
}
