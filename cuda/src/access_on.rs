//! Access on a stream: a guard over a pinned buffer for work that is given to a stream and runs later.
//!
//! Between `access_on(&stream)` and the guard's end, whatever is launched on that stream finds the content complete, and
//! whoever evicts, moves, frees or reuses the buffer afterwards does so behind it. The host does not wait, and no event is
//! recorded at the access of a buffer that is resident and quiet (see `stream`).

use crate::access::Access;
use crate::error::Error;
use crate::handle::VramHandle;
use crate::memory::DeviceError;
use crate::memory::driver::CudaDevice;
use crate::stream::StreamId;
use crate::tenancy::Tenancy;
use cudarc::driver::{CudaStream, DevicePtr, DevicePtrMut, DeviceSlice, SyncOnDrop, sys::CUdeviceptr};
use freehold_core::Bytes;
use std::sync::Arc;

/// Shared access for work on one stream, which may read the buffer. Launch while the guard lives; what was launched may
/// run on after it is gone.
///
/// It is cudarc's [`DevicePtr`] of any element type, so it can be given where a `&CudaSlice` is read from.
#[derive(Debug)]
pub struct AccessOn<'h> {
    access: Access<'h>,
    stream: &'h Arc<CudaStream>,
}

/// Exclusive access for work on one stream, which may write the buffer. It is cudarc's [`DevicePtrMut`] too.
#[derive(Debug)]
pub struct AccessMutOn<'h> {
    shared: AccessOn<'h>,
}

impl VramHandle {
    /// Pins the buffer for work on `stream`, bringing its content first where it was evicted: what is launched on `stream`
    /// from now on finds it complete (F3). The host waits for the source's own work only: a pinned source is enqueued,
    /// a pageable one is copied into staging buffers.
    ///
    /// **Progress**: as [`access`](Self::access). Resident, and last written on this stream or long ago: the pin, one
    /// question to the driver (whether the stream is being captured), no event.
    ///
    /// # Errors
    /// Those of `access`; [`Error::Device`] where the manager's device is no card, the stream belongs to another context,
    /// or a graph is being captured on it (F5): its work would run when the address may be another's.
    pub fn access_on<'h>(&'h self, stream: &'h Arc<CudaStream>) -> Result<AccessOn<'h>, Error> {
        let access = self.pin_guard()?;
        let id = stream_id(self.tenancy(), stream)?;
        self.tenancy().tenant().streams.join(self.tenancy().device(), id)?;
        Ok(AccessOn { access, stream })
    }

    /// As [`access_on`](Self::access_on), for work that writes: it runs behind everybody who used the buffer before, and
    /// the write survives eviction (C11).
    ///
    /// # Errors
    /// Those of `access_on`, and [`Error::Immutable`] for shared weights.
    pub fn access_mut_on<'h>(&'h mut self, stream: &'h Arc<CudaStream>) -> Result<AccessMutOn<'h>, Error> {
        self.check_mutable()?;
        let access = self.pin_guard()?;
        let tenancy = self.tenancy();
        let id = stream_id(tenancy, stream)?;
        tenancy.tenant().streams.take_over(tenancy.device(), id)?;
        tenancy.entry().residency().mark_dirty();
        Ok(AccessMutOn { shared: AccessOn { access, stream } })
    }

    /// Releases the buffer behind what `stream` was given so far, though it was used there without our knowing: whoever
    /// gets its memory next is put behind it (F1). The host does not wait.
    ///
    /// It protects what happens from now on. A buffer that was used on a stream without [`access_on`](Self::access_on)
    /// may have been evicted since its guard was dropped.
    ///
    /// # Errors
    /// [`Error::Device`] as `access_on`; the buffer is released then too, once the host has waited for the stream.
    pub fn free_on(self, stream: &Arc<CudaStream>) -> Result<(), Error> {
        let noted = self.access_if_resident(stream);
        if noted.is_err() {
            // Nobody can be put behind this stream later, so its work ends now.
            let _ = stream.synchronize();
        }
        drop(self);
        noted
    }

    /// Notes the stream as a user, if there is anything that it could use.
    fn access_if_resident(&self, stream: &Arc<CudaStream>) -> Result<(), Error> {
        if !self.is_resident() {
            return Ok(());
        }
        let _pinned = self.pin_guard()?;
        let id = stream_id(self.tenancy(), stream)?;
        self.tenancy().tenant().streams.note(id);
        Ok(())
    }
}

impl<'h> AccessOn<'h> {
    /// As [`Access::device_ptr`]: the number that a kernel's argument takes, valid for work that is launched on this
    /// guard's stream while it lives.
    #[must_use]
    pub fn device_ptr(&self) -> u64 {
        self.access.device_ptr()
    }

    /// The buffer's size as asked for.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.access.bytes()
    }

    /// The stream it was made for.
    #[must_use]
    pub fn stream(&self) -> &Arc<CudaStream> {
        self.stream
    }

    /// The buffer is used on this stream too, by what is launched there while the guard lives.
    ///
    /// # Errors
    /// As [`VramHandle::access_on`].
    pub fn record_stream(&self, stream: &Arc<CudaStream>) -> Result<(), Error> {
        let tenancy = self.access.tenancy();
        let id = stream_id(tenancy, stream)?;
        tenancy.tenant().streams.join(tenancy.device(), id).map_err(Error::from)
    }

    /// The address for work on `stream`. Where that is not the guard's own, the two are ordered here and the host waits
    /// when cudarc says that the work was launched: such a stream cannot be remembered, because cudarc lends it only.
    fn lend<'a>(&'a self, stream: &'a CudaStream) -> (CUdeviceptr, SyncOnDrop<'a>) {
        if stream.cu_stream() == self.stream.cu_stream() {
            return (self.device_ptr(), SyncOnDrop::Record(None));
        }
        stream.context().record_err(stream.join(self.stream));
        (self.device_ptr(), SyncOnDrop::Sync(Some(stream)))
    }
}

impl AccessMutOn<'_> {
    /// As [`AccessOn::device_ptr`].
    #[must_use]
    pub fn device_ptr(&self) -> u64 {
        self.shared.device_ptr()
    }

    /// As [`AccessOn::bytes`].
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.shared.bytes()
    }

    /// As [`AccessOn::stream`].
    #[must_use]
    pub fn stream(&self) -> &Arc<CudaStream> {
        self.shared.stream
    }
}

impl<T> DeviceSlice<T> for AccessOn<'_> {
    fn len(&self) -> usize {
        self.bytes().get() as usize / size_of::<T>().max(1)
    }

    fn stream(&self) -> &Arc<CudaStream> {
        self.stream
    }
}

impl<T> DevicePtr<T> for AccessOn<'_> {
    fn device_ptr<'a>(&'a self, stream: &'a CudaStream) -> (CUdeviceptr, SyncOnDrop<'a>) {
        self.lend(stream)
    }
}

impl<T> DeviceSlice<T> for AccessMutOn<'_> {
    fn len(&self) -> usize {
        DeviceSlice::<T>::len(&self.shared)
    }

    fn stream(&self) -> &Arc<CudaStream> {
        self.shared.stream
    }
}

impl<T> DevicePtr<T> for AccessMutOn<'_> {
    fn device_ptr<'a>(&'a self, stream: &'a CudaStream) -> (CUdeviceptr, SyncOnDrop<'a>) {
        self.shared.lend(stream)
    }
}

impl<T> DevicePtrMut<T> for AccessMutOn<'_> {
    fn device_ptr_mut<'a>(&'a mut self, stream: &'a CudaStream) -> (CUdeviceptr, SyncOnDrop<'a>) {
        self.shared.lend(stream)
    }
}

fn stream_id(tenancy: &Tenancy, stream: &Arc<CudaStream>) -> Result<StreamId, Error> {
    let card = tenancy.device().cuda().ok_or_else(no_card)?;
    CudaDevice::stream_id(card, stream).map_err(Error::from)
}

fn no_card() -> DeviceError {
    DeviceError::new("use a stream", "the manager's device is ordinary memory")
}
