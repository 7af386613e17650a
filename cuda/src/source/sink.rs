//! The sink: takes an entry's bytes in order and counts them (C7).

use crate::error::SourceError;
use crate::memory::DeviceError;
use std::io;

/// How much of a buffer that the host cannot reach is staged at a time: enough to keep a copy engine busy, too little
/// to be missed.
const PIECE_BYTES: usize = 1 << 20;

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
            return Err(self.too_many());
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

    /// Takes the next `length` bytes piece by piece: `read` is given each piece's place, counted from 0, and the piece to
    /// fill. No more than a piece is ever held in between, however large the entry.
    ///
    /// # Errors
    /// What `read` returns, the device's refusal, or more bytes than the entry has room for: none is read then.
    pub fn read_from(
        &mut self,
        length: u64,
        mut read: impl FnMut(u64, &mut [u8]) -> Result<(), SourceError>,
    ) -> Result<(), SourceError> {
        if length > self.remaining() {
            self.given = self.given.saturating_add(length);
            return Err(self.too_many());
        }
        if let Target::Direct(target) = &mut self.target {
            read(0, &mut target[self.given as usize..][..length as usize])?;
            self.given += length;
            return Ok(());
        }
        let mut staging = vec![0; PIECE_BYTES.min(length as usize)];
        let mut at = 0;
        // Each turn takes one piece more.
        while at < length {
            let piece = &mut staging[..PIECE_BYTES.min((length - at) as usize)];
            read(at, piece)?;
            self.write(piece)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    fn too_many(&self) -> SourceError {
        SourceError::new(format!("{} bytes for an entry of {}", self.given, self.expected))
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
