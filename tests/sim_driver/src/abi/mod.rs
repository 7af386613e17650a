//! The driver's calls under their real names: each enters by the gate, checks its handles, and says what the world does.
//! What all of them need stands here; a file below it has the calls of one kind.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1")]
// D1  The caller keeps the driver's contract: a pointer to which a call writes is null or takes the value, a host range
//     is as long as it says, a kernel's parameters are as many as the kernel has, a string ends.

mod copies;
mod device;
mod errors;
mod memory;
mod module;
mod stream;

use crate::state::*;
use std::cell::Cell;
use std::mem::MaybeUninit;

type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;
type Handle = u64;

const CONTEXTS: u64 = 0xC0_0000;
const STREAMS: u64 = 0x5_0000_0000;

/// Modes of capture: what may be called meanwhile elsewhere in the process.
const GLOBAL: u32 = 0;
const RELAXED: u32 = 2;

thread_local!(static CURRENT: Cell<u64> = const { Cell::new(0) });
thread_local!(static CAPTURE_MODE: Cell<u32> = const { Cell::new(GLOBAL) });

/// Exports driver calls. Each body is given the entered world and returns the call's result.
macro_rules! driver_calls {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) $body:expr;)*) => {$(
        $(#[$doc])*
        #[unsafe(no_mangle)]
        extern "C" fn $name($($arg: $type),*) -> Code {
            let body: fn(Entered, $($type),*) -> Result<(), Code> = $body;
            enter(stringify!($name)).and_then(|world| body(world, $($arg),*)).err().unwrap_or(0)
        }
    )*};
}
use driver_calls;

fn put<T>(to: Out<'_, T>, value: T) -> Result<(), Code> {
    to.ok_or(INVALID_VALUE)?.write(value);
    Ok(())
}

fn known(world: &World, device: i32) -> Result<usize, Code> {
    usize::try_from(device).ok().filter(|&device| device < world.config.devices).ok_or(INVALID_DEVICE)
}

/// The device of a context that somebody retains.
fn live_context(world: &World, context: Handle) -> Result<usize, Code> {
    let device = context.checked_sub(CONTEXTS + 1).ok_or(INVALID_CONTEXT)? as usize;
    let retained = world.contexts.get(device).is_some_and(|&count| count > 0);
    if retained { Ok(device) } else { Err(INVALID_CONTEXT) }
}

/// The device of this thread's context. It is also the number of that device's default stream.
fn current(world: &World) -> Result<usize, Code> {
    live_context(world, CURRENT.get())
}

/// What may wait for all of the card is forbidden while anybody captures in the global mode, but to a thread that has said
/// that it knows: on a card it ends the capture.
fn outside_capture(world: &mut World, what: &str) -> Result<(), Code> {
    let captured = world.streams.iter().any(|stream| stream.capturing == Some(GLOBAL));
    if captured && CAPTURE_MODE.get() != RELAXED {
        world.report(format!("capture: {what} while a graph was captured elsewhere"));
        return Err(CAPTURE_UNSUPPORTED);
    }
    Ok(())
}

fn live_stream(world: &World, stream: Handle) -> Result<usize, Code> {
    let device = current(world)?;
    let number = match stream {
        0..=2 => device,
        _ => stream.checked_sub(STREAMS).ok_or(INVALID_HANDLE)? as usize / 16,
    };
    let live = world.streams.get(number).is_some_and(|stream| !stream.destroyed && stream.device == device);
    if live { Ok(number) } else { Err(INVALID_HANDLE) }
}

fn synchronize(world: &mut World, stream: usize) {
    let (point, clock) = (world.streams[stream].point(stream), world.streams[stream].clock.clone());
    world.wait_on_host(point, &clock);
}
