//! From the word on the command line to a device: the one place that knows which kinds there are.

use std::sync::Arc;

use freehold_cuda::{DeviceMemory, HostDevice};

use crate::args::DeviceChoice;
use crate::failure::Failure;

/// The device that was asked for.
///
/// # Errors
/// It is not there.
pub(crate) fn choose(choice: DeviceChoice) -> Result<Arc<dyn DeviceMemory>, Failure> {
    match choice {
        DeviceChoice::Auto | DeviceChoice::Host => Ok(Arc::new(HostDevice::new())),
        DeviceChoice::Cuda(ordinal) => Err(Failure::NoDevice { ordinal }),
    }
}
