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
    /// Its number, by which [`CudaDevice::new`](super::CudaDevice::new) opens it: among the cards that
    /// `CUDA_VISIBLE_DEVICES` leaves visible, in the order given there.
    pub ordinal: usize,
    /// Its own name among all cards, as `GPU-xxxxxxxx-...`.
    pub uuid: String,
    /// The driver's name of it.
    pub name: String,
    /// All the memory it has.
    pub total: Bytes,
    /// What is free of it now; nothing where it cannot be opened.
    pub free: Bytes,
}

/// The cards of this machine; none where the driver is there and lists none.
///
/// A card that cannot be opened, because another process has it to itself or because it is broken, is listed all the same,
/// with nothing free.
///
/// # Errors
/// There is no driver, or it cannot be asked.
pub fn devices() -> Result<Vec<Card>, DeviceError> {
    (0..count()?).map(card).collect()
}

/// The oldest driver that has all the calls we make. With an older one cudarc would panic at the first that is not there.
const OLDEST: i32 = 11040;

/// The newest driver API that the installed driver speaks, as `12.8`; `None` without a driver.
#[must_use]
pub fn driver_version() -> Option<String> {
    version().map(text)
}

fn version() -> Option<i32> {
    let mut version = 0;
    // SAFETY: L1, and the number is ours to write to.
    let asked = present().then(|| unsafe { sys::cuDriverGetVersion(&raw mut version) })?;
    (asked == CUresult::CUDA_SUCCESS).then_some(version)
}

fn text(version: i32) -> String {
    format!("{}.{}", version / 1000, version % 1000 / 10)
}

/// The number of the card of this name, among those that the driver lists.
pub(super) fn ordinal_of(uuid: &str) -> Result<Option<usize>, DeviceError> {
    // A part of a card has a name of its own, which its tools begin differently; the digits say which it is.
    let digits = |name: &str| name.get(4..).unwrap_or("").to_ascii_lowercase();
    for ordinal in 0..count()? {
        let named = device(ordinal).and_then(uuid_of);
        let named = named.map_err(|error| refused(format_args!("ask for card {ordinal}"), error))?;
        if digits(&named) == digits(uuid) {
            return Ok(Some(ordinal));
        }
    }
    Ok(None)
}

fn count() -> Result<usize, DeviceError> {
    if !initialised()? {
        return Ok(0);
    }
    let count = result::device::get_count().map_err(|error| refused("count the cards", error))?;
    Ok(count as usize)
}

fn card(ordinal: usize) -> Result<Card, DeviceError> {
    let described = device(ordinal).and_then(|device| {
        // SAFETY: L1, and the driver has just named the card.
        let total = unsafe { result::device::total_mem(device) }?;
        Ok((uuid_of(device)?, result::device::get_name(device)?, Bytes(total as u64)))
    });
    let (uuid, name, total) = described.map_err(|error| refused(format_args!("ask for card {ordinal}"), error))?;
    let free = Context::of(ordinal).and_then(|context| context.memory()).map_or(Bytes::ZERO, |(free, _)| free);
    Ok(Card { ordinal, uuid, name, total, free })
}

fn device(ordinal: usize) -> Result<sys::CUdevice, DriverError> {
    i32::try_from(ordinal).map_or(Err(DriverError(CUresult::CUDA_ERROR_INVALID_DEVICE)), result::device::get)
}

/// A card's name as the driver's own tools print it; of a part of a card, the part's.
pub(super) fn uuid_of(device: sys::CUdevice) -> Result<String, DriverError> {
    let mut uuid = sys::CUuuid { bytes: [0; 16] };
    // SAFETY: L1, and the name is ours to write to. (The first version of this call names the card that a part is of.)
    unsafe { sys::cuDeviceGetUuid_v2(&raw mut uuid, device) }.result()?;
    Ok(uuid_text(&uuid))
}

/// Makes sure that the driver is there and initialised; `false` where it is there and has no card.
pub(super) fn initialised() -> Result<bool, DeviceError> {
    if !present() {
        return Err(DeviceError::new("look for cards", "no driver is installed: libcuda was not found"));
    }
    if let Some(version) = version().filter(|&version| version < OLDEST) {
        let reason = format!("the driver speaks CUDA {}, and {} or newer is needed", text(version), text(OLDEST));
        return Err(DeviceError::new("look for cards", reason));
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

fn uuid_text(uuid: &sys::CUuuid) -> String {
    let mut text = String::from("GPU");
    for (at, byte) in uuid.bytes.iter().enumerate() {
        let dash = if matches!(at, 0 | 4 | 6 | 8 | 10) { "-" } else { "" };
        text.push_str(&format!("{dash}{:02x}", *byte as u8));
    }
    text
}
