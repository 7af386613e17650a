//! Locks on single bytes of a file, which the kernel ends with the process that has them: byte 0 is everybody's turn, the
//! others are the lives of the cells.
//!
//! They are the POSIX kind: a child made by `fork` does not inherit them, so that it cannot keep its parent alive. The price is
//! that they belong to the process and not to the file descriptor: a process opens the file once.
#![allow(unsafe_code)] // One system call, with a structure on our own stack.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use libc::{F_GETLK, F_SETLK, F_SETLKW, F_UNLCK, F_WRLCK, SEEK_SET, c_int, flock, off_t, pid_t};

/// Waits for the byte and takes it. Nobody who has byte 0 waits for another, so there is no circle to wait in.
pub(super) fn lock(file: &File, byte: usize) -> io::Result<()> {
    call(file, F_SETLKW, F_WRLCK as c_int, byte).map(|_| ())
}

/// Takes the byte unless another process has it.
pub(super) fn try_lock(file: &File, byte: usize) -> io::Result<bool> {
    match call(file, F_SETLK, F_WRLCK as c_int, byte) {
        Ok(_) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Gives the byte back.
pub(super) fn unlock(file: &File, byte: usize) -> io::Result<()> {
    call(file, F_SETLK, F_UNLCK as c_int, byte).map(|_| ())
}

/// Which other process has the byte. Our own is not another.
pub(super) fn holder(file: &File, byte: usize) -> io::Result<Option<pid_t>> {
    let answer = call(file, F_GETLK, F_WRLCK as c_int, byte)?;
    Ok((c_int::from(answer.l_type) != F_UNLCK as c_int).then_some(answer.l_pid))
}

fn call(file: &File, command: c_int, kind: c_int, byte: usize) -> io::Result<flock> {
    let mut lock = flock { l_type: kind as _, l_whence: SEEK_SET as _, l_start: byte as off_t, l_len: 1, l_pid: 0 };
    // Bounded by signals.
    loop {
        // SAFETY: L1. The descriptor is open as long as `file` is borrowed, and the structure outlives the call, which
        // writes to nothing else.
        let result = unsafe { libc::fcntl(file.as_raw_fd(), command, &raw mut lock) };
        if result != -1 {
            return Ok(lock);
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}
