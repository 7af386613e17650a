//! Errors have names, and are told them even when nothing else answers any more.
#![allow(unsafe_code, reason = "exported C functions with the driver's own contracts: D1 of abi")]
#![allow(non_snake_case, reason = "the names are the driver's")]

use super::{Out, put};
use crate::state::*;
use std::ffi::{CStr, c_char};

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
