//! A card's context, and being in it: every driver call of ours runs with the context bound to its thread, and leaves the
//! thread as it was (A10).
#![allow(unsafe_code, reason = "driver calls: C1")]
// C1  A `Context` retains its card's primary context until it is dropped, so the handle is live. `Bound` exists only
//     where it is the thread's current one.

use super::library::{initialised, refused};
use crate::memory::DeviceError;
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::{CudaContext, sys};
use freehold_core::Bytes;
use std::marker::PhantomData;
use std::sync::Arc;

/// The primary context of one card, shared with everybody who uses that card through cudarc.
#[derive(Debug)]
pub(super) struct Context(Arc<CudaContext>);

/// This thread is in the context; when it is dropped, in whatever it was before.
pub(super) struct Bound {
    before: Option<Option<sys::CUcontext>>,
    // Bindings are the thread's own.
    _not_send: PhantomData<*const ()>,
}

/// This thread is in the context, and what it asks of the driver disturbs no capture of a graph.
pub(super) struct Relaxed {
    // In the order of its end: the mode first, then the binding.
    mode: Option<sys::CUstreamCaptureMode>,
    _bound: Bound,
}

impl Context {
    /// The context of a card by its number.
    pub(super) fn of(ordinal: usize) -> Result<Context, DeviceError> {
        let action = || format!("open card {ordinal}");
        if !initialised()? {
            return Err(DeviceError::new(action(), "the driver lists no card"));
        }
        let before = result::ctx::get_current().map_err(|error| refused(action(), error))?;
        let context = CudaContext::new(ordinal).map_err(|error| refused(action(), error));
        // Opening binds it: the thread is put back whatever came of it.
        restore(before);
        context.map(Context)
    }

    pub(super) fn shared(context: Arc<CudaContext>) -> Context {
        Context(context)
    }

    pub(super) fn cudarc(&self) -> &Arc<CudaContext> {
        &self.0
    }

    pub(super) fn device(&self) -> sys::CUdevice {
        self.0.cu_device()
    }

    /// Puts this thread into the context. Not through cudarc's own binding: that one returns, once, whatever error some
    /// drop of somebody else's left behind, and would make it ours.
    pub(super) fn bind(&self) -> Result<Bound, DriverError> {
        let before = result::ctx::get_current()?;
        let ours = self.0.cu_ctx();
        if before == Some(ours) {
            return Ok(Bound { before: None, _not_send: PhantomData });
        }
        // SAFETY: C1.
        unsafe { result::ctx::set_current(ours) }?;
        Ok(Bound { before: Some(before), _not_send: PhantomData })
    }

    /// As `bind`, for calls that the driver forbids while a graph is being captured anywhere in the process, such as to
    /// allocate: it would end that capture, which is somebody else's and has nothing to do with us. In the relaxed mode, which
    /// is this thread's own, they are allowed.
    pub(super) fn bind_relaxed(&self) -> Result<Relaxed, DriverError> {
        let bound = self.bind()?;
        // Where the driver refuses the mode, the call itself is still worth a try.
        let mode = exchange_mode(sys::CUstreamCaptureMode::CU_STREAM_CAPTURE_MODE_RELAXED).ok();
        Ok(Relaxed { mode, _bound: bound })
    }

    /// Free and total memory of the card.
    pub(super) fn memory(&self) -> Result<(Bytes, Bytes), DeviceError> {
        let asked = self.bind().and_then(|_bound| result::mem_get_info());
        let (free, total) = asked.map_err(|error| refused("ask for the card's memory", error))?;
        Ok((Bytes(free as u64), Bytes(total as u64)))
    }
}

impl Drop for Bound {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            restore(before);
        }
    }
}

impl Drop for Relaxed {
    fn drop(&mut self) {
        // Of a driver that is lost nothing is captured any more.
        let _ = self.mode.map(exchange_mode);
    }
}

/// Sets this thread's mode, and says what it was.
fn exchange_mode(mut mode: sys::CUstreamCaptureMode) -> Result<sys::CUstreamCaptureMode, DriverError> {
    // SAFETY: C1. The mode is ours to write to.
    unsafe { sys::cuThreadExchangeStreamCaptureMode(&raw mut mode) }.result().map(|()| mode)
}

/// Puts the thread back. Where the driver is lost there is nothing left to be put back into.
fn restore(context: Option<sys::CUcontext>) {
    // SAFETY: it was this thread's current context, or none, when we came.
    let _ = unsafe { result::ctx::set_current(context.unwrap_or(std::ptr::null_mut())) };
}
