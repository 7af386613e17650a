//! Memory: regions of a card, pinned pages, and how much is left.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{Handle, Out, current, driver_calls, known, live_stream, outside_capture, put};
use crate::shadow::Kind;
use crate::state::*;
use crate::stream::Work;
use std::ffi::c_void;

/// Each card has the one that it is born with.
const MEMORY_POOLS: Handle = 0xB0_0000;

driver_calls! {
    fn cuMemGetInfo_v2(free: Out<'_, usize>, total: Out<'_, usize>) |world, free, total| {
        let device = current(&world)?;
        put(free, free_bytes(&world, device) as usize)?;
        put(total, world.config.bytes as usize)
    };
    fn cuMemAlloc_v2(address: Out<'_, u64>, bytes: usize) |mut world, address, bytes| {
        let device = current(&world)?;
        outside_capture(&mut world, "an allocation")?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if bytes as u64 > free_bytes(&world, device) {
            return Err(OUT_OF_MEMORY);
        }
        put(address, world.memory.allocate(device, bytes as u64).ok_or(OUT_OF_MEMORY)?)
    };
    fn cuMemFree_v2(address: u64) |mut world, address| {
        let device = current(&world)?;
        if address == 0 {
            return Ok(());
        }
        outside_capture(&mut world, "a free")?;
        world.host_step();
        if let Some(range) = world.memory.region_at(address)
            && let Some(touch) = world.shadow.unfinished(range, &world.host)
        {
            let name = world.memory.name(address);
            world.report_unfinished(&format!("{name} is freed"), touch);
        }
        world.drain(device);
        let freed = world.memory.free(address).map_err(|fault| {
            world.report_fault("a free", fault);
            INVALID_VALUE
        })?;
        world.shadow.forget(freed);
        Ok(())
    };
    fn cuMemAllocAsync(address: Out<'_, u64>, bytes: usize, stream: Handle) |mut world, address, bytes, stream| {
        let (device, stream) = (current(&world)?, live_stream(&world, stream)?);
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        if bytes as u64 > free_bytes(&world, device) {
            return Err(OUT_OF_MEMORY);
        }
        let fresh = world.memory.allocate(device, bytes as u64).ok_or(OUT_OF_MEMORY)?;
        // Whoever uses it has to be behind the stream on which it was allocated: as if that had written it.
        let queued = world.enqueue(stream, "allocation", &[(fresh..fresh + bytes as u64, Kind::Write)], Work::Mark);
        queued.inspect_err(|_| world.memory.unmap(fresh))?;
        put(address, fresh)
    };
    fn cuMemFreeAsync(address: u64, stream: Handle) |mut world, address, stream| {
        let stream = live_stream(&world, stream)?;
        if address == 0 {
            return Ok(());
        }
        let Some(leaving) = world.memory.region_at(address) else {
            world.check_device("a free", &(address..address + 1))?;
            return Err(INVALID_VALUE);
        };
        world.enqueue(stream, "free", &[(leaving.clone(), Kind::Write)], Work::Free(address))?;
        world.memory.leave(address).map_err(|_| INVALID_VALUE)?;
        world.shadow.forget(leaving);
        Ok(())
    };
    fn cuDeviceGetDefaultMemPool(pool: Out<'_, Handle>, device: i32) |world, pool, device| {
        put(pool, MEMORY_POOLS + known(&world, device)? as u64)
    };
    fn cuMemPoolSetAttribute(pool: Handle, _attribute: u32, _value: *mut c_void) |world, pool, _, _| {
        known(&world, pool.wrapping_sub(MEMORY_POOLS) as i32).map(drop)
    };
    fn cuMemPoolTrimTo(pool: Handle, _keep: usize) |world, pool, _| {
        known(&world, pool.wrapping_sub(MEMORY_POOLS) as i32).map(drop)
    };
    fn cuMemHostAlloc(address: Out<'_, u64>, bytes: usize, _flags: u32) |mut world, address, bytes, _| {
        current(&world)?;
        outside_capture(&mut world, "a pinned allocation")?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        put(address, world.memory.allocate_pinned(bytes as u64).ok_or(OUT_OF_MEMORY)?)
    };
    fn cuMemFreeHost(address: u64) |mut world, address| unpin(&mut world, address, "pinned memory is freed");
    fn cuMemHostRegister_v2(address: u64, bytes: usize, _flags: u32) |mut world, address, bytes, _| {
        current(&world)?;
        outside_capture(&mut world, "a registration")?;
        let registered = bytes > 0 && world.memory.register(address, bytes as u64);
        if registered { Ok(()) } else { Err(ALREADY_REGISTERED) }
    };
    fn cuMemHostUnregister(address: u64) |mut world, address| unpin(&mut world, address, "pinned memory is let go");
}

fn free_bytes(world: &World, device: usize) -> u64 {
    world.config.bytes.saturating_sub(world.config.foreign).saturating_sub(world.memory.used(device))
}

fn unpin(world: &mut World, address: u64, action: &str) -> Result<(), Code> {
    let device = current(world)?;
    outside_capture(world, "the end of pinned memory")?;
    let range = world.memory.pinned_at(address).ok_or(INVALID_VALUE)?;
    world.host_step();
    if let Some(touch) = world.shadow.unfinished(range.clone(), &world.host) {
        world.report_unfinished(action, touch);
    }
    world.drain(device);
    world.memory.free_pinned(address);
    world.shadow.forget(range);
    Ok(())
}
