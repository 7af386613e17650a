//! What a test sets and reads: `sim_*`, beside the driver's own calls in the same library.
#![allow(unsafe_code, reason = "exported C functions that are given buffers: C1")]
// C1  The caller of a control call gives a live buffer of the length it says, or a C string that ends.

use crate::state::{Code, Config, Rule, VERSION, World, world};
use std::ffi::{CStr, c_char};
use std::fmt::Write;

/// A new world with this seed: `late` (not 0) means that work runs only when the host waits for it.
#[unsafe(no_mangle)]
extern "C" fn sim_reset(seed: u64, late: u32, devices: u32, bytes: u64) {
    world().reset(Config { devices: devices as usize, bytes, foreign: 0, seed, late: late != 0, version: VERSION });
}

/// The `nth` call of `name` from now on (1 is the next) fails with `code`; `sticky` (not 0): and every call after it.
///
/// # Safety
/// C1.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_fail(name: *const c_char, nth: u64, code: Code, sticky: u32) {
    // SAFETY: C1. The caller's string ends.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    world().rule = Some(Rule { name, after: nth, code, sticky: sticky != 0 });
}

/// Every call fails with `code` from now on; 0: none does any more.
#[unsafe(no_mangle)]
extern "C" fn sim_break(code: Code) {
    world().sticky = (code != 0).then_some(code);
}

/// Bytes of each device that some other process holds.
#[unsafe(no_mangle)]
extern "C" fn sim_foreign(bytes: u64) {
    world().config.foreign = bytes;
}

/// Pieces of work that are queued and have not run.
#[unsafe(no_mangle)]
extern "C" fn sim_pending() -> u64 {
    world().streams.iter().map(|stream| stream.pending() as u64).sum()
}

/// How often a call has stopped the host until the device had got somewhere.
#[unsafe(no_mangle)]
extern "C" fn sim_host_waits() -> u64 {
    world().host_waits
}

/// What was found, a line each. Writes as much as the buffer takes, and returns how much there is.
///
/// # Safety
/// C1.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_report(to: *mut u8, capacity: usize) -> usize {
    // SAFETY: C1, handed on.
    unsafe { give(&world().reports.join("\n"), to, capacity) }
}

/// How often each driver call was made: `name count`, a line each.
///
/// # Safety
/// C1.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_counts(to: *mut u8, capacity: usize) -> usize {
    let lines: Vec<String> = world().counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    // SAFETY: C1, handed on.
    unsafe { give(&lines.join("\n"), to, capacity) }
}

/// What is still there: `regions N pinned N streams N events N contexts N`.
///
/// # Safety
/// C1.
#[unsafe(no_mangle)]
unsafe extern "C" fn sim_live(to: *mut u8, capacity: usize) -> usize {
    let text = live(&world());
    // SAFETY: C1, handed on.
    unsafe { give(&text, to, capacity) }
}

fn live(world: &World) -> String {
    let (regions, pinned) = world.memory.live_regions();
    let made = world.streams.iter().skip(world.config.devices);
    let streams = made.filter(|stream| !stream.destroyed).count();
    let (events, contexts) = (world.events.len(), world.contexts.iter().sum::<u64>());
    let mut text = String::new();
    let _ = write!(text, "regions {regions} pinned {pinned} streams {streams} events {events} contexts {contexts}");
    text
}

/// # Safety
/// C1.
unsafe fn give(text: &str, to: *mut u8, capacity: usize) -> usize {
    // SAFETY: C1. The buffer takes `capacity` bytes; the text is ours.
    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), to, text.len().min(capacity)) };
    text.len()
}
