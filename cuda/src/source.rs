//! Where bytes can be had again: the backing source, and the sink it pours them into.
//!
//! A source is called once per materialisation (C4), with no internal lock held (C8), and must give exactly the
//! entry's bytes: the sink counts (C7).

use crate::error::SourceError;
use crate::memory::DeviceError;
use std::io;
use std::sync::Arc;

/// Something that can produce an entry's bytes, again and again, always the same.
pub trait Source: Send + Sync {
    /// Writes the entry's bytes, all of them and no more.
    ///
    /// # Errors
    /// Whatever kept the bytes from coming. The entry is then as it was before, and the next access asks again (C5).
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError>;
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

/// A source that writes piece by piece; [`Sink`] is an [`io::Write`].
pub fn writer(write: impl Fn(&mut Sink<'_>) -> Result<(), SourceError> + Send + Sync) -> impl Source {
    struct Writer<F>(F);
    impl<F: Fn(&mut Sink<'_>) -> Result<(), SourceError> + Send + Sync> Source for Writer<F> {
        fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
            (self.0)(sink)
        }
    }
    Writer(write)
}

/// Takes an entry's bytes in order and counts them.
pub struct Sink<'a> {
    target: Target<'a>,
    expected: u64,
    given: u64,
    device_error: Option<DeviceError>,
}

/// Copies the next bytes to the device: their place in the entry, and what they are.
pub(crate) type Upload<'a> = dyn FnMut(u64, &[u8]) -> Result<(), DeviceError> + 'a;

/// Where the bytes go: straight into memory the host can reach, or through staging to a device it cannot.
enum Target<'a> {
    Direct(&'a mut [u8]),
    Staged(&'a mut Upload<'a>),
}

impl<'a> Sink<'a> {
    pub(crate) fn direct(target: &'a mut [u8]) -> Self {
        let expected = target.len() as u64;
        Sink { target: Target::Direct(target), expected, given: 0, device_error: None }
    }

    pub(crate) fn staged(expected: u64, upload: &'a mut Upload<'a>) -> Self {
        Sink { target: Target::Staged(upload), expected, given: 0, device_error: None }
    }

    /// Bytes still to come.
    #[must_use]
    pub fn remaining(&self) -> u64 {
        self.expected.saturating_sub(self.given)
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// More came than the entry has room for, or the device refused the copy. Both are reported by the manager too,
    /// whatever the source makes of them.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), SourceError> {
        let start = self.given;
        self.given = start.saturating_add(bytes.len() as u64);
        if self.given > self.expected {
            return Err(SourceError::new(format!("{} bytes for an entry of {}", self.given, self.expected)));
        }
        match &mut self.target {
            Target::Direct(target) => target[start as usize..self.given as usize].copy_from_slice(bytes),
            Target::Staged(upload) => upload(start, bytes).map_err(|error| {
                self.device_error = Some(error.clone());
                SourceError::new(error)
            })?,
        }
        Ok(())
    }

    /// Gives the whole rest of the buffer to `fill`; on success it counts as written.
    ///
    /// # Errors
    /// What `fill` returns, or the device's refusal.
    pub fn fill_with(&mut self, fill: impl FnOnce(&mut [u8]) -> Result<(), SourceError>) -> Result<(), SourceError> {
        if let Target::Direct(target) = &mut self.target {
            fill(&mut target[self.given.min(self.expected) as usize..])?;
            self.given = self.expected;
            return Ok(());
        }
        let mut staging = vec![0; self.remaining() as usize];
        fill(&mut staging)?;
        self.write(&staging)
    }

    /// How many bytes came, and the device's refusal where there was one.
    pub(crate) fn outcome(self) -> (u64, Option<DeviceError>) {
        (self.given, self.device_error)
    }
}

impl io::Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Sink::write(self, bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl std::fmt::Debug for Sink<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink").field("expected", &self.expected).field("given", &self.given).finish_non_exhaustive()
    }
}
