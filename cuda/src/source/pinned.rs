//! Pinned host memory: a buffer that a driver can register, so that a card fetches from it without the host's help.

use super::{Sink, Source};
use crate::error::SourceError;
use freehold_core::Bytes;
use memmap2::MmapMut;
use std::any::Any;
use std::fmt;
use std::io;
use std::sync::OnceLock;

/// Bytes in whole pages of their own, which never move: what a driver asks of memory that it registers.
///
/// On the host device this is plain memory. What registers it for a card gives the registration to
/// [`keep_registered`](Self::keep_registered): it is then dropped before the pages go back to the system, whoever drops
/// the buffer last. Share it as `Arc<PinnedBytes>`, which is a [`Source`] too.
///
/// By itself it may be paged out: a system lets an ordinary process keep only a few MiB from that, and a driver's
/// registration does it anyway.
///
/// ```
/// use freehold_cuda::source::PinnedBytes;
/// use freehold_cuda::{Allocation, Bytes, VramManager};
///
/// let mut weights = PinnedBytes::zeroed(Bytes(4096))?;
/// weights.as_mut_slice().fill(7);
///
/// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
/// let handle = manager.allocate(Allocation::new(weights.bytes()).source(weights))?;
/// assert_eq!(handle.access()?.as_host_slice(), Some(&[7; 4096][..]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PinnedBytes {
    // First, because fields are dropped in order: the registration goes before the pages do.
    registration: OnceLock<Box<dyn Any + Send + Sync>>,
    // `None`: no bytes, and so no pages.
    pages: Option<MmapMut>,
}

impl PinnedBytes {
    /// `bytes` zeros, in pages that cost nothing until they are first touched.
    ///
    /// # Errors
    /// The system's, where it has no such memory.
    pub fn zeroed(bytes: Bytes) -> io::Result<Self> {
        let length = usize::try_from(bytes.get()).map_err(io::Error::other)?;
        let pages = (length > 0).then(|| MmapMut::map_anon(length)).transpose()?;
        Ok(PinnedBytes { registration: OnceLock::new(), pages })
    }

    /// A copy of `bytes`.
    ///
    /// # Errors
    /// As [`zeroed`](Self::zeroed).
    pub fn copy_of(bytes: &[u8]) -> io::Result<Self> {
        let mut pinned = PinnedBytes::zeroed(Bytes(bytes.len() as u64))?;
        pinned.as_mut_slice().copy_from_slice(bytes);
        Ok(pinned)
    }

    /// How many bytes.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        Bytes(self.as_slice().len() as u64)
    }

    /// The bytes. They begin at a page's start.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        self.pages.as_deref().unwrap_or(&[])
    }

    /// The bytes, to be filled before they are shared. A registration ends here: a card may still be copying from them,
    /// and the end of the registration waits for that.
    #[must_use]
    pub fn as_mut_slice(&mut self) -> &mut [u8] {
        self.registration.take();
        self.pages.as_deref_mut().unwrap_or(&mut [])
    }

    /// Whether a registration is kept.
    #[must_use]
    pub fn is_registered(&self) -> bool {
        self.registration.get().is_some()
    }

    /// Registers the bytes with whatever `register` asks, once: later calls do nothing. What it returns is dropped before
    /// the memory is.
    ///
    /// # Errors
    /// What `register` returns; the bytes are then as usable as before.
    pub fn keep_registered<R: Any + Send + Sync, E>(
        &self,
        register: impl FnOnce(&[u8]) -> Result<R, E>,
    ) -> Result<(), E> {
        if !self.is_registered() {
            let registration = register(self.as_slice())?;
            // Two threads at once: the second's registration is dropped here, while the pages are still there.
            let _ = self.registration.set(Box::new(registration));
        }
        Ok(())
    }
}

impl Source for PinnedBytes {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        sink.write(self.as_slice())
    }
}

impl fmt::Debug for PinnedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (bytes, registered) = (self.bytes(), self.is_registered());
        f.debug_struct("PinnedBytes").field("bytes", &bytes).field("registered", &registered).finish_non_exhaustive()
    }
}
