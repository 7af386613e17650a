//! Whether there is a driver, and what it knows of cards: the questions that can be asked on any machine.
#![allow(unsafe_code, reason = "driver calls: L1")]
// L1  Every other driver call of this crate is made after `present` has said yes: without the library cudarc panics, even
//     where it only formats an error. Its answer cannot change: the library is never unloaded.

use super::context::Context;
use crate::memory::DeviceError;
use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys::{self, CUresult};
use freehold_core::Bytes;
use std::fmt;
use std::sync::OnceLock;

/// A card that the driver lists.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Card {
    /// Its number, by which [`CudaDevice::new`](super::CudaDevice::new) opens it.
    pub ordinal: usize,
    /// Its own name among all cards, as `GPU-xxxxxxxx-...`.
    pub uuid: String,
    /// The driver's name of it.
    pub name: String,
    /// All the memory it has.
    pub total: Bytes,
    /// What is free of it now.
    pub free: Bytes,
}

/// The cards of this machine; none where the driver is there and lists none.
///
/// # Errors
/// There is no driver, or it cannot be asked.
pub fn devices() -> Result<Vec<Card>, DeviceError> {
    if !initialised()? {
        return Ok(Vec::new());
    }
    let count = result::device::get_count().map_err(|error| refused("count the cards", error))?;
    (0..count as usize).map(card).collect()
}

/// The newest driver API that the installed driver speaks, as `12.8`; `None` without a driver.
#[must_use]
pub fn driver_version() -> Option<String> {
    let mut version = 0;
    // SAFETY: L1, and the number is ours to write to.
    let asked = present().then(|| unsafe { sys::cuDriverGetVersion(&raw mut version) })?;
    (asked == CUresult::CUDA_SUCCESS).then(|| format!("{}.{}", version / 1000, version % 1000 / 10))
}

fn card(ordinal: usize) -> Result<Card, DeviceError> {
    let refused = |error| refused(format_args!("ask for card {ordinal}"), error);
    let context = Context::of(ordinal)?;
    let uuid = result::device::get_uuid(context.device()).map_err(refused)?;
    let name = result::device::get_name(context.device()).map_err(refused)?;
    let (free, total) = context.memory()?;
    Ok(Card { ordinal, uuid: uuid_text(&uuid), name, total, free })
}

/// Makes sure that the driver is there and initialised; `false` where it is there and has no card.
pub(super) fn initialised() -> Result<bool, DeviceError> {
    if !present() {
        return Err(DeviceError::new("look for cards", "no driver is installed: libcuda was not found"));
    }
    match result::init() {
        Ok(()) => Ok(true),
        Err(DriverError(CUresult::CUDA_ERROR_NO_DEVICE)) => Ok(false),
        Err(error) => Err(refused("start the driver", error)),
    }
}

/// Whether the driver's library is there (L1). Asked once.
fn present() -> bool {
    static PRESENT: OnceLock<bool> = OnceLock::new();
    // SAFETY: it loads the driver's library, which may run that library's own initialisers and nothing of ours.
    *PRESENT.get_or_init(|| unsafe { sys::is_culib_present() })
}

/// What the driver said, as an error of our own, while the driver is there to name it.
pub(super) fn refused(action: impl fmt::Display, error: DriverError) -> DeviceError {
    match error.error_name() {
        Ok(name) => DeviceError::new(action, name.to_string_lossy()),
        Err(_) => DeviceError::new(action, format_args!("driver error {}", error.0 as u32)),
    }
}

/// A card's name as the driver's own tools print it.
pub(super) fn uuid_text(uuid: &sys::CUuuid) -> String {
    let mut text = String::from("GPU");
    for (at, byte) in uuid.bytes.iter().enumerate() {
        let dash = if matches!(at, 0 | 4 | 6 | 8 | 10) { "-" } else { "" };
        text.push_str(&format!("{dash}{:02x}", *byte as u8));
    }
    text
}
