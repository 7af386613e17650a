//! Copies and sets: checked, judged and queued when they are called; what is pageable is done before the call returns.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{Handle, current, driver_calls, live_stream, synchronize};
use crate::memory;
use crate::shadow::Kind;
use crate::state::*;
use crate::stream::Work;

driver_calls! {
    fn cuMemcpyHtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) |mut world, to, from, bytes, stream| {
        let stream = live_stream(&world, stream)?;
        copy_in(&mut world, stream, to, from, bytes as u64).map(drop)
    };
    fn cuMemcpyHtoD_v2(to: u64, from: u64, bytes: usize) |mut world, to, from, bytes| {
        let stream = current(&world)?;
        copy_in(&mut world, stream, to, from, bytes as u64)?;
        synchronize(&mut world, stream);
        Ok(())
    };
    fn cuMemcpyDtoHAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) |mut world, to, from, bytes, stream| {
        let stream = live_stream(&world, stream)?;
        copy_out(&mut world, stream, to, from, bytes as u64)
    };
    fn cuMemcpyDtoH_v2(to: u64, from: u64, bytes: usize) |mut world, to, from, bytes| {
        let stream = current(&world)?;
        copy_out(&mut world, stream, to, from, bytes as u64)?;
        synchronize(&mut world, stream);
        Ok(())
    };
    fn cuMemcpyDtoDAsync_v2(to: u64, from: u64, bytes: usize, stream: Handle) |mut world, to, from, bytes, stream| {
        let (stream, len) = (live_stream(&world, stream)?, bytes as u64);
        copy_inside(&mut world, stream, to, from, len)
    };
    fn cuMemcpyDtoD_v2(to: u64, from: u64, bytes: usize) |mut world, to, from, bytes| {
        let stream = current(&world)?;
        copy_inside(&mut world, stream, to, from, bytes as u64)
    };
    fn cuMemsetD8Async(at: u64, byte: u8, bytes: usize, stream: Handle) |mut world, at, byte, bytes, stream| {
        let stream = live_stream(&world, stream)?;
        set_bytes(&mut world, stream, at, byte, bytes as u64)
    };
    fn cuMemsetD8_v2(at: u64, byte: u8, bytes: usize) |mut world, at, byte, bytes| {
        let stream = current(&world)?;
        set_bytes(&mut world, stream, at, byte, bytes as u64)
    };
}

fn copy_in(world: &mut World, stream: usize, to: u64, from: u64, len: u64) -> Result<(), Code> {
    let (target, source) = (to..to + len, from..from + len);
    world.check_device("copy in", &target)?;
    if world.memory.is_pinned(from, len) {
        let fingerprint = memory::fingerprint(memory::host(from), len);
        let work = Work::CopyPinned { to, from, len, fingerprint, number: world.works + 1 };
        return world.enqueue(stream, "copy in", &[(source, Kind::Read), (target, Kind::Write)], work).map(drop);
    }
    // Pageable memory is read before the call returns, as a driver does that stages it.
    let bytes = memory::snapshot(memory::host(from), len);
    world.enqueue(stream, "copy in", &[(target, Kind::Write)], Work::CopyIn { to, bytes }).map(drop)
}

fn copy_out(world: &mut World, stream: usize, to: u64, from: u64, len: u64) -> Result<(), Code> {
    let (target, source) = (to..to + len, from..from + len);
    world.check_device("copy out", &source)?;
    let pinned = world.memory.is_pinned(to, len);
    let mut touches = vec![(source, Kind::Read)];
    touches.extend(pinned.then_some((target, Kind::Write)));
    world.enqueue(stream, "copy out", &touches, Work::CopyOut { to, from, len })?;
    if !pinned {
        // Pageable memory is written before the call returns.
        synchronize(world, stream);
    }
    Ok(())
}

fn copy_inside(world: &mut World, stream: usize, to: u64, from: u64, len: u64) -> Result<(), Code> {
    let (target, source) = (to..to + len, from..from + len);
    world.check_device("copy inside", &source)?;
    world.check_device("copy inside", &target)?;
    if source.start < target.end && target.start < source.end {
        world.report(format!("undefined: the ranges of the copy inside (work {}) overlap", world.works + 1));
    }
    world.enqueue(
        stream,
        "copy inside",
        &[(source, Kind::Read), (target, Kind::Write)],
        Work::CopyInside { to, from, len },
    )?;
    Ok(())
}

fn set_bytes(world: &mut World, stream: usize, at: u64, byte: u8, len: u64) -> Result<(), Code> {
    let target = at..at + len;
    world.check_device("set", &target)?;
    world.enqueue(stream, "set", &[(target, Kind::Write)], Work::Fill { at, byte, len }).map(drop)
}
