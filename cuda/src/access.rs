//! A guard over a pinned buffer: its address stands still and its content is whole, until the guard is dropped.
#![allow(unsafe_code, reason = "a pin is what makes an entry's bytes readable: A2 of arena.rs")]
// A2, here: an `Access` holds a pin, so no thread can be in an exclusive state, and all other guards of the entry read
// only. An `AccessMut` borrows the entry's only handle exclusively, so no other guard of it exists at all.

use crate::arena::Span;
use crate::error::Error;
use crate::memory::Address;
use crate::tenancy::{Pinned, Tenancy};
use freehold_core::Bytes;

/// Shared, reading access to a pinned buffer. Pins nest: any number of guards of one handle may live at once.
#[derive(Debug)]
pub struct Access<'h> {
    pinned: Pinned<'h>,
}

/// Exclusive, writing access to a pinned buffer.
#[derive(Debug)]
pub struct AccessMut<'h> {
    shared: Access<'h>,
}

impl<'h> Access<'h> {
    #[inline(never)]
    pub(crate) fn new(tenancy: &'h Tenancy) -> Result<Self, Error> {
        let access = Access::pin(tenancy)?;
        tenancy.tenant().streams.join_host(tenancy.device())?;
        Ok(access)
    }

    /// As `new`, where that is nothing but a pin.
    #[inline(always)]
    pub(crate) fn at_hand(tenancy: &'h Tenancy) -> Option<Self> {
        tenancy.use_at_hand().map(|pinned| Access { pinned })
    }

    /// A guard whose bytes may still be on their way: for whoever puts a stream behind them.
    pub(crate) fn pin(tenancy: &'h Tenancy) -> Result<Self, Error> {
        Ok(Access { pinned: tenancy.use_and_pin()? })
    }

    #[inline]
    pub(crate) fn tenancy(&self) -> &'h Tenancy {
        self.pinned.tenancy()
    }

    /// Where the buffer is in the device's address space; valid while this guard lives. A buffer of no bytes has the
    /// address 0.
    #[must_use]
    #[inline]
    pub fn address(&self) -> Address {
        self.tenancy().tenant().place.address()
    }

    /// The address as the plain number that a kernel's argument takes.
    #[must_use]
    #[inline]
    pub fn device_ptr(&self) -> u64 {
        self.address().0
    }

    /// The buffer's size as asked for.
    #[must_use]
    #[inline]
    pub fn bytes(&self) -> Bytes {
        self.tenancy().tenant().bytes
    }

    /// The bytes themselves, where the device is ordinary memory.
    #[must_use]
    #[inline]
    pub fn as_host_slice(&self) -> Option<&[u8]> {
        let Some(span) = self.span() else { return Some(&[]) };
        // SAFETY: A2. We hold a pin as long as `self` is borrowed: everybody else reads at most. D1: initialised.
        span.host_bytes().map(|bytes| unsafe { &*bytes })
    }

    /// Copies `to.len()` bytes from `start` on to the host; complete on return.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], or the device's refusal.
    pub fn read(&self, start: u64, to: &mut [u8]) -> Result<(), Error> {
        self.check(start, to.len())?;
        let Some(span) = self.span() else { return Ok(()) };
        let before = self.tenancy().tenant().streams.before();
        // SAFETY: A2. We hold a pin: nobody writes, but those before us.
        unsafe { span.read(start, to, before) }.map_err(Error::from)
    }

    #[inline]
    fn span(&self) -> Option<Span<'_>> {
        self.tenancy().inner().span(self.tenancy().tenant())
    }

    fn check(&self, start: u64, length: usize) -> Result<(), Error> {
        let (length, buffer) = (Bytes(length as u64), self.bytes());
        let fits = start.checked_add(length.get()).is_some_and(|end| end <= buffer.get());
        if fits { Ok(()) } else { Err(Error::OutOfRange { start, length, buffer }) }
    }
}

impl<'h> AccessMut<'h> {
    pub(crate) fn new(tenancy: &'h Tenancy) -> Result<Self, Error> {
        let shared = Access::pin(tenancy)?;
        tenancy.tenant().streams.take_over_by_host(tenancy.device())?;
        tenancy.entry().residency().mark_dirty();
        Ok(AccessMut { shared })
    }

    /// As [`Access::address`].
    #[must_use]
    pub fn address(&self) -> Address {
        self.shared.address()
    }

    /// As [`Access::device_ptr`].
    #[must_use]
    pub fn device_ptr(&self) -> u64 {
        self.shared.device_ptr()
    }

    /// As [`Access::bytes`].
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.shared.bytes()
    }

    /// As [`Access::read`].
    ///
    /// # Errors
    /// As [`Access::read`].
    pub fn read(&self, start: u64, to: &mut [u8]) -> Result<(), Error> {
        self.shared.read(start, to)
    }

    /// Copies `from` into the buffer from `start` on; complete on return.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], or the device's refusal.
    pub fn write(&mut self, start: u64, from: &[u8]) -> Result<(), Error> {
        self.shared.check(start, from.len())?;
        let Some(span) = self.shared.span() else { return Ok(()) };
        let (streams, device) = (&self.shared.tenancy().tenant().streams, self.shared.tenancy().device());
        // SAFETY: A2. We hold a pin and borrow the only handle exclusively: no other guard exists.
        unsafe { span.write(start, from, streams) }?;
        streams.join_host(device).map_err(Error::from)
    }

    /// The bytes themselves, where the device is ordinary memory.
    #[must_use]
    pub fn as_host_slice(&self) -> Option<&[u8]> {
        self.shared.as_host_slice()
    }

    /// The bytes themselves for writing, where the device is ordinary memory.
    #[must_use]
    pub fn as_host_slice_mut(&mut self) -> Option<&mut [u8]> {
        let Some(span) = self.shared.span() else { return Some(&mut []) };
        // SAFETY: A2. We hold a pin and borrow the only handle exclusively as long as `self` is borrowed. D1: initialised.
        span.host_bytes().map(|bytes| unsafe { &mut *bytes })
    }
}
