//! `freehold info`: which devices there are, and how much memory.

use std::io::{self, Write};

use serde::Serialize;

use crate::args::InfoArgs;
use crate::failure::Failure;

/// One device, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Device {
    ordinal: u32,
    uuid: String,
    name: String,
    total_bytes: u64,
    free_bytes: u64,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    devices: Vec<Device>,
    driver: Option<String>,
    host_bytes: u64,
}

/// Prints what there is.
pub(crate) fn run(args: &InfoArgs) -> Result<(), Failure> {
    let found = look();
    let mut out = io::stdout().lock();
    if args.json {
        return Ok(writeln!(out, "{}", serde_json::to_string(&found).map_err(io::Error::from)?)?);
    }
    for device in &found.devices {
        let Device { ordinal, uuid, name, total_bytes, free_bytes } = device;
        writeln!(out, "cuda:{ordinal}  {name}  {uuid}  {free_bytes} of {total_bytes} bytes free")?;
    }
    if found.devices.is_empty() {
        writeln!(out, "no card: --device auto takes the host device")?;
    }
    writeln!(out, "driver  {}", found.driver.as_deref().unwrap_or("none"))?;
    Ok(writeln!(out, "host    {} bytes of memory", found.host_bytes)?)
}

#[cfg(feature = "cuda")]
fn look() -> Found {
    use freehold_cuda::memory::driver::{devices, driver_version};
    let device = |card: freehold_cuda::memory::driver::Card| Device {
        ordinal: card.ordinal as u32,
        uuid: card.uuid,
        name: card.name,
        total_bytes: card.total.get(),
        free_bytes: card.free.get(),
    };
    // A driver that is not there, or cannot be asked, is a machine without cards: `driver` tells the two apart.
    let devices = devices().unwrap_or_default().into_iter().map(device).collect();
    Found { devices, driver: driver_version(), host_bytes: host_bytes() }
}

#[cfg(not(feature = "cuda"))]
fn look() -> Found {
    Found { devices: Vec::new(), driver: None, host_bytes: host_bytes() }
}

/// The machine's memory, or 0 where the system does not say.
fn host_bytes() -> u64 {
    let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib: Option<u64> = total.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok());
    kib.unwrap_or(0) * 1024
}
