//! From the word on the command line to a device: the one place that knows which kinds there are.

use std::sync::Arc;

use freehold_cuda::{DeviceError, DeviceMemory, HostDevice};

use crate::args::DeviceChoice;
use crate::failure::Failure;

/// The device that was asked for.
///
/// # Errors
/// It is not there.
pub(crate) fn choose(choice: DeviceChoice) -> Result<Arc<dyn DeviceMemory>, Failure> {
    match choice {
        DeviceChoice::Auto => Ok(card(0).unwrap_or_else(|_| Arc::new(HostDevice::new()))),
        DeviceChoice::Host => Ok(Arc::new(HostDevice::new())),
        DeviceChoice::Cuda(ordinal) => card(ordinal).map_err(|reason| Failure::NoDevice { ordinal, reason }),
    }
}

#[cfg(feature = "cuda")]
fn card(ordinal: u32) -> Result<Arc<dyn DeviceMemory>, DeviceError> {
    freehold_cuda::memory::driver::CudaDevice::new(ordinal as usize).map(|card| card as Arc<dyn DeviceMemory>)
}

#[cfg(not(feature = "cuda"))]
fn card(ordinal: u32) -> Result<Arc<dyn DeviceMemory>, DeviceError> {
    Err(DeviceError::new(format_args!("open card {ordinal}"), "this build knows the host device only"))
}
