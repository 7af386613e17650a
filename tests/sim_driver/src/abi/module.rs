//! Modules and kernels: three kernels are known by name, and what each of them touches.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{Handle, Out, current, driver_calls, live_stream, put};
use crate::kernels::{Kernel, Launch};
use crate::state::*;
use crate::stream::Work;
use std::ffi::{CStr, c_char, c_void};

driver_calls! {
    fn cuModuleUnload(module: Handle) |mut world, module| world.modules.remove(&module).map(drop).ok_or(INVALID_HANDLE);
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
