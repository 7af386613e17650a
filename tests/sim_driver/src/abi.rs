//! The driver's calls under their real names: each enters by the gate, checks its handles, and says what the world does.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1")]
#![allow(non_snake_case, reason = "the names are the driver's")]
// D1  The caller keeps the driver's contract: a pointer to which a call writes is null or takes the value, a host range
//     is as long as it says, a kernel's parameters are as many as the kernel has, a string ends.

use crate::clock::Clock;
use crate::kernels::{Kernel, Launch};
use crate::memory;
use crate::shadow::Kind;
use crate::state::*;
use crate::stream::{Event, Stream, Work};
use std::cell::Cell;
use std::ffi::{CStr, c_char, c_void};
use std::mem::MaybeUninit;

type Out<'a, T> = Option<&'a mut MaybeUninit<T>>;
type Handle = u64;

const VERSION: i32 = 12080;
const MULTIPROCESSORS: i32 = 16;
const CONTEXTS: u64 = 0xC0_0000;
const STREAMS: u64 = 0x5_0000_0000;

thread_local!(static CURRENT: Cell<u64> = const { Cell::new(0) });

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

driver_calls! {
    fn cuInit(_flags: u32) |mut world, _| {
        world.initialised = true;
        if world.config.devices == 0 { Err(NO_DEVICE) } else { Ok(()) }
    };
    fn cuDriverGetVersion(version: Out<'_, i32>) |_, version| put(version, VERSION);
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
        put(value, match attribute { 16 => MULTIPROCESSORS, 75 => 9, _ => 0 })
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

    fn cuMemGetInfo_v2(free: Out<'_, usize>, total: Out<'_, usize>) |world, free, total| {
        let device = current(&world)?;
        put(free, free_bytes(&world, device) as usize)?;
        put(total, world.config.bytes as usize)
    };
    fn cuMemAlloc_v2(address: Out<'_, u64>, bytes: usize) |mut world, address, bytes| {
        let device = current(&world)?;
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
    fn cuMemHostAlloc(address: Out<'_, u64>, bytes: usize, _flags: u32) |mut world, address, bytes, _| {
        current(&world)?;
        if bytes == 0 {
            return Err(INVALID_VALUE);
        }
        put(address, world.memory.allocate_pinned(bytes as u64).ok_or(OUT_OF_MEMORY)?)
    };
    fn cuMemFreeHost(address: u64) |mut world, address| unpin(&mut world, address, "pinned memory is freed");
    fn cuMemHostRegister_v2(address: u64, bytes: usize, _flags: u32) |mut world, address, bytes, _| {
        current(&world)?;
        let registered = bytes > 0 && world.memory.register(address, bytes as u64);
        if registered { Ok(()) } else { Err(ALREADY_REGISTERED) }
    };
    fn cuMemHostUnregister(address: u64) |mut world, address| unpin(&mut world, address, "pinned memory is let go");

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
        if world.streams[stream].capturing {
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
        put(status, u32::from(world.streams[stream].capturing))
    };
    fn cuStreamBeginCapture_v2(stream: Handle, _mode: u32) |mut world, stream, _| {
        let stream = live_stream(&world, stream)?;
        world.streams[stream].capturing = true;
        Ok(())
    };
    fn cuStreamEndCapture(stream: Handle, graph: Out<'_, Handle>) |mut world, stream, graph| {
        let stream = live_stream(&world, stream)?;
        world.streams[stream].capturing = false;
        put(graph, 0)
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

    fn cuModuleUnload(module: Handle) |mut world, module| world.modules.remove(&module).map(drop).ok_or(INVALID_HANDLE);
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

/// # Safety
/// D1.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleLoadData(module: Out<'_, Handle>, image: *const c_char) -> Code {
    // SAFETY: D1. The image is text that ends: this driver takes no other.
    let text = unsafe { CStr::from_ptr(image) }.to_string_lossy().into_owned();
    let load = |mut world: Entered| {
        current(&world)?;
        let kernels: Vec<Kernel> =
            Kernel::ALL.into_iter().filter(|kernel| text.contains(&format!(".entry {}(", kernel.name()))).collect();
        if kernels.is_empty() {
            return Err(INVALID_PTX);
        }
        let handle = world.handle();
        world.modules.insert(handle, kernels);
        put(module, handle)
    };
    enter("cuModuleLoadData").and_then(load).err().unwrap_or(0)
}

/// # Safety
/// D1.
#[unsafe(no_mangle)]
unsafe extern "C" fn cuModuleGetFunction(function: Out<'_, Handle>, module: Handle, name: *const c_char) -> Code {
    // SAFETY: D1. The name ends.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
    let find = |world: Entered| {
        let kernels = world.modules.get(&module).ok_or(INVALID_HANDLE)?;
        let kernel = Kernel::by_name(&name).filter(|kernel| kernels.contains(kernel)).ok_or(NOT_FOUND)?;
        put(function, 1 + kernel as u64)
    };
    enter("cuModuleGetFunction").and_then(find).err().unwrap_or(0)
}

/// # Safety
/// D1.
#[unsafe(no_mangle)]
#[allow(clippy::too_many_arguments, reason = "the driver's own signature")]
unsafe extern "C" fn cuLaunchKernel(
    function: Handle,
    _grid_x: u32,
    _grid_y: u32,
    _grid_z: u32,
    _block_x: u32,
    _block_y: u32,
    _block_z: u32,
    _shared_bytes: u32,
    stream: Handle,
    parameters: *const *const c_void,
    _extra: *const *const c_void,
) -> Code {
    let launch = |mut world: Entered| {
        let stream = live_stream(&world, stream)?;
        let kernel = Kernel::ALL.into_iter().find(|&kernel| 1 + kernel as u64 == function).ok_or(INVALID_HANDLE)?;
        // SAFETY: D1. The three kernels have three parameters: an address, a value or an address, a count.
        let launch = unsafe { read_parameters(kernel, parameters) };
        let touches = launch.touches();
        for (bytes, _) in touches.iter().filter(|(bytes, _)| !bytes.is_empty()) {
            // As on a card: the launch is accepted, and every call after it says what it did.
            if world.check_device(kernel.name(), bytes).is_err() {
                world.sticky = Some(ILLEGAL_ADDRESS);
                return Ok(());
            }
        }
        world.enqueue(stream, kernel.name(), &touches, Work::Kernel(launch)).map(drop)
    };
    enter("cuLaunchKernel").and_then(launch).err().unwrap_or(0)
}

/// # Safety
/// D1: `parameters` points to three pointers, to the kernel's parameters.
unsafe fn read_parameters(kernel: Kernel, parameters: *const *const c_void) -> Launch {
    // SAFETY: D1.
    let [target, operand, elements] = unsafe { *parameters.cast::<[*const u64; 3]>() };
    let operand = match kernel {
        // SAFETY: D1. The operand of a copy is an address.
        Kernel::Copy => unsafe { *operand },
        // SAFETY: D1. The operand of the others is a 32-bit value.
        _ => u64::from(unsafe { *operand.cast::<u32>() }),
    };
    // SAFETY: D1.
    let target = unsafe { *target };
    // SAFETY: D1.
    let elements = unsafe { *elements };
    Launch { kernel, target, operand, elements }
}

/// Answers even when nothing else does any more: an error must have a name.
#[unsafe(no_mangle)]
extern "C" fn cuGetErrorName(code: Code, text: Out<'_, *const c_char>) -> Code {
    put(text, error_name(code).as_ptr()).err().unwrap_or(0)
}

/// As `cuGetErrorName`.
#[unsafe(no_mangle)]
extern "C" fn cuGetErrorString(code: Code, text: Out<'_, *const c_char>) -> Code {
    put(text, error_name(code).as_ptr()).err().unwrap_or(0)
}

fn error_name(code: Code) -> &'static CStr {
    match code {
        0 => c"CUDA_SUCCESS",
        INVALID_VALUE => c"CUDA_ERROR_INVALID_VALUE",
        OUT_OF_MEMORY => c"CUDA_ERROR_OUT_OF_MEMORY",
        NOT_INITIALIZED => c"CUDA_ERROR_NOT_INITIALIZED",
        4 => c"CUDA_ERROR_DEINITIALIZED",
        NO_DEVICE => c"CUDA_ERROR_NO_DEVICE",
        INVALID_DEVICE => c"CUDA_ERROR_INVALID_DEVICE",
        INVALID_CONTEXT => c"CUDA_ERROR_INVALID_CONTEXT",
        INVALID_PTX => c"CUDA_ERROR_INVALID_PTX",
        INVALID_HANDLE => c"CUDA_ERROR_INVALID_HANDLE",
        NOT_FOUND => c"CUDA_ERROR_NOT_FOUND",
        NOT_READY => c"CUDA_ERROR_NOT_READY",
        ILLEGAL_ADDRESS => c"CUDA_ERROR_ILLEGAL_ADDRESS",
        ALREADY_REGISTERED => c"CUDA_ERROR_HOST_MEMORY_ALREADY_REGISTERED",
        CAPTURE_UNSUPPORTED => c"CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
        _ => c"CUDA_ERROR_UNKNOWN",
    }
}

fn put<T>(to: Out<'_, T>, value: T) -> Result<(), Code> {
    to.ok_or(INVALID_VALUE)?.write(value);
    Ok(())
}

fn known(world: &World, device: i32) -> Result<usize, Code> {
    usize::try_from(device).ok().filter(|&device| device < world.config.devices).ok_or(INVALID_DEVICE)
}

fn uuid(device: usize) -> [u8; 16] {
    let mut id = *b"freehold-sim-000";
    id[15] += device as u8;
    id
}

fn free_bytes(world: &World, device: usize) -> u64 {
    world.config.bytes.saturating_sub(world.config.foreign).saturating_sub(world.memory.used(device))
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

fn live_stream(world: &World, stream: Handle) -> Result<usize, Code> {
    let device = current(world)?;
    let number = match stream {
        0..=2 => device,
        _ => stream.checked_sub(STREAMS).ok_or(INVALID_HANDLE)? as usize / 16,
    };
    let live = world.streams.get(number).is_some_and(|stream| !stream.destroyed && stream.device == device);
    if live { Ok(number) } else { Err(INVALID_HANDLE) }
}

fn new_stream(world: &mut World, flags: u32) -> Result<Handle, Code> {
    let device = current(world)?;
    world.streams.push(Stream::new(device, flags & 1 == 0));
    Ok(STREAMS + 16 * (world.streams.len() as u64 - 1))
}

fn synchronize(world: &mut World, stream: usize) {
    let (point, clock) = (world.streams[stream].point(stream), world.streams[stream].clock.clone());
    world.wait_on_host(point, &clock);
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

fn unpin(world: &mut World, address: u64, action: &str) -> Result<(), Code> {
    let device = current(world)?;
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

fn set_bytes(world: &mut World, stream: usize, at: u64, byte: u8, len: u64) -> Result<(), Code> {
    let target = at..at + len;
    world.check_device("set", &target)?;
    world.enqueue(stream, "set", &[(target, Kind::Write)], Work::Fill { at, byte, len }).map(drop)
}
