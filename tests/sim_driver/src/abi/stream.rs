//! Streams and events: queues, points of them, and who waits for which.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{CAPTURE_MODE, Handle, Out, STREAMS, current, driver_calls, live_stream, put, synchronize};
use crate::state::*;
use crate::stream::{Event, Stream, Work};

driver_calls! {
    fn cuStreamCreate(stream: Out<'_, Handle>, flags: u32) |mut world, stream, flags| put(stream, new_stream(&mut world, flags)?);
    fn cuStreamCreateWithPriority(stream: Out<'_, Handle>, flags: u32, _priority: i32) |mut world, stream, flags, _| {
        put(stream, new_stream(&mut world, flags)?)
    };
    fn cuStreamDestroy_v2(stream: Handle) |mut world, stream| {
        let stream = live_stream(&world, stream)?;
        if stream < world.config.devices {
            return Err(INVALID_HANDLE);
        }
        world.streams[stream].destroyed = true;
        Ok(())
    };
    fn cuStreamSynchronize(stream: Handle) |mut world, stream| {
        let stream = live_stream(&world, stream)?;
        if world.streams[stream].capturing.is_some() {
            return Err(CAPTURE_UNSUPPORTED);
        }
        synchronize(&mut world, stream);
        Ok(())
    };
    fn cuStreamQuery(stream: Handle) |mut world, stream| {
        let stream = live_stream(&world, stream)?;
        world.run_one();
        if !world.streams[stream].is_idle() {
            return Err(NOT_READY);
        }
        synchronize(&mut world, stream);
        Ok(())
    };
    fn cuStreamWaitEvent(stream: Handle, event: Handle, _flags: u32) |mut world, stream, event, _| {
        let stream = live_stream(&world, stream)?;
        let recorded = world.events.get(&event).ok_or(INVALID_HANDLE)?.recorded.clone();
        let Some((point, clock)) = recorded else { return Ok(()) };
        world.enqueue(stream, "wait", &[], Work::Wait(point))?;
        world.streams[stream].clock.join(&clock);
        Ok(())
    };
    fn cuStreamIsCapturing(stream: Handle, status: Out<'_, u32>) |world, stream, status| {
        let stream = live_stream(&world, stream)?;
        put(status, u32::from(world.streams[stream].capturing.is_some()))
    };
    fn cuStreamBeginCapture_v2(stream: Handle, mode: u32) |mut world, stream, mode| {
        let stream = live_stream(&world, stream)?;
        world.streams[stream].capturing = Some(mode);
        Ok(())
    };
    fn cuStreamEndCapture(stream: Handle, graph: Out<'_, Handle>) |mut world, stream, graph| {
        let stream = live_stream(&world, stream)?;
        world.streams[stream].capturing = None;
        put(graph, 0)
    };
    fn cuThreadExchangeStreamCaptureMode(mode: Option<&mut u32>) |_, mode| {
        let mode = mode.ok_or(INVALID_VALUE)?;
        *mode = CAPTURE_MODE.replace(*mode);
        Ok(())
    };

    fn cuEventCreate(event: Out<'_, Handle>, _flags: u32) |mut world, event, _| {
        current(&world)?;
        let handle = world.handle();
        world.events.insert(handle, Event::default());
        put(event, handle)
    };
    fn cuEventDestroy_v2(event: Handle) |mut world, event| world.events.remove(&event).map(drop).ok_or(INVALID_HANDLE);
    fn cuEventRecord(event: Handle, stream: Handle) |mut world, event, stream| {
        let stream = live_stream(&world, stream)?;
        if !world.events.contains_key(&event) {
            return Err(INVALID_HANDLE);
        }
        let point = world.enqueue(stream, "record", &[], Work::Mark)?;
        let clock = world.streams[stream].clock.clone();
        world.events.insert(event, Event { recorded: Some((point, clock)) });
        Ok(())
    };
    fn cuEventSynchronize(event: Handle) |mut world, event| {
        let recorded = world.events.get(&event).ok_or(INVALID_HANDLE)?.recorded.clone();
        if let Some((point, clock)) = recorded {
            world.wait_on_host(point, &clock);
        }
        Ok(())
    };
    fn cuEventQuery(event: Handle) |mut world, event| {
        world.run_one();
        let recorded = world.events.get(&event).ok_or(INVALID_HANDLE)?.recorded.clone();
        let Some((point, clock)) = recorded else { return Ok(()) };
        if !world.reached(point) {
            return Err(NOT_READY);
        }
        world.host.join(&clock);
        Ok(())
    };
}

fn new_stream(world: &mut World, flags: u32) -> Result<Handle, Code> {
    let device = current(world)?;
    world.streams.push(Stream::new(device, flags & 1 == 0));
    Ok(STREAMS + 16 * (world.streams.len() as u64 - 1))
}
