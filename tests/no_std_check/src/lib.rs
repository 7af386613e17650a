//! A program without std that uses the core. It brings its own panic handler, of which there may be one only: if std gets
//! in anywhere below, its handler is the second, and the compiler refuses (E0152).
#![no_std]

pub use freehold_core;

#[panic_handler]
fn stop(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {
        core::hint::spin_loop();
    }
}
