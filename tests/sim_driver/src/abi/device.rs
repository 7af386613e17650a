//! Cards and contexts: which there are, what they say of themselves, and which one a thread is in.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{CONTEXTS, CURRENT, Handle, Out, current, driver_calls, known, live_context, put};
use crate::clock::Clock;
use crate::state::*;

const MULTIPROCESSORS: i32 = 16;

driver_calls! {
    fn cuInit(_flags: u32) |mut world, _| {
        world.initialised = true;
        if world.config.devices == 0 { Err(NO_DEVICE) } else { Ok(()) }
    };
    fn cuDriverGetVersion(version: Out<'_, i32>) |world, version| put(version, world.config.version);
    fn cuDeviceGetCount(count: Out<'_, i32>) |world, count| put(count, world.config.devices as i32);
    fn cuDeviceGet(device: Out<'_, i32>, ordinal: i32) |world, device, ordinal| put(device, known(&world, ordinal)? as i32);
    fn cuDeviceTotalMem_v2(bytes: Out<'_, usize>, device: i32) |world, bytes, device| {
        known(&world, device)?;
        put(bytes, world.config.bytes as usize)
    };
    fn cuDeviceGetUuid(id: Out<'_, [u8; 16]>, device: i32) |world, id, device| put(id, uuid(known(&world, device)?));
    fn cuDeviceGetUuid_v2(id: Out<'_, [u8; 16]>, device: i32) |world, id, device| put(id, uuid(known(&world, device)?));
    fn cuDeviceGetAttribute(value: Out<'_, i32>, attribute: u32, device: i32) |world, value, attribute, device| {
        known(&world, device)?;
        put(value, match attribute { 16 => MULTIPROCESSORS, 75 => 9, 115 => 1, _ => 0 })
    };
    fn cuDevicePrimaryCtxRetain(context: Out<'_, Handle>, device: i32) |mut world, context, device| {
        let device = known(&world, device)?;
        world.contexts[device] += 1;
        put(context, CONTEXTS + 1 + device as u64)
    };
    fn cuDevicePrimaryCtxRelease_v2(device: i32) |mut world, device| {
        let device = known(&world, device)?;
        world.contexts[device] = world.contexts[device].checked_sub(1).ok_or(INVALID_CONTEXT)?;
        Ok(())
    };
    fn cuCtxGetCurrent(context: Out<'_, Handle>) |_, context| put(context, CURRENT.get());
    fn cuCtxSetCurrent(context: Handle) |world, context| {
        if context != 0 {
            live_context(&world, context)?;
        }
        CURRENT.set(context);
        Ok(())
    };
    fn cuCtxSynchronize() |mut world| {
        let device = current(&world)?;
        world.drain(device);
        let clocks: Vec<Clock> = world.streams.iter().filter(|s| s.device == device).map(|s| s.clock.clone()).collect();
        clocks.iter().for_each(|clock| world.host.join(clock));
        Ok(())
    };
}

/// # Safety
/// D1.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuDeviceGetName(name: *mut u8, capacity: i32, device: i32) -> Code {
    let found = enter("cuDeviceGetName").and_then(|world| known(&world, device));
    let text = b"Simulated device\0";
    if found.is_ok() && (text.len() as i32) <= capacity {
        // SAFETY: D1. The caller's buffer takes `capacity` bytes, which the text is not longer than.
        unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), name, text.len()) };
    }
    found.err().unwrap_or(0)
}

fn uuid(device: usize) -> [u8; 16] {
    let mut id = *b"freehold-sim-000";
    id[15] += device as u8;
    id
}
