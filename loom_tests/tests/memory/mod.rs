//! Memory that loom watches: what the word, the lease or the block that a model is about is there to protect.
#![allow(dead_code, unreachable_pub)] // Each model uses its part.

use loom::cell::UnsafeCell;

/// The bytes of an entry, of a lease's holder or of a block, or anything that only its state protects: loom fails a model in
/// which two uses of it, one of them a write, are not ordered.
#[derive(Debug, Default)]
pub struct Memory(UnsafeCell<u32>);

// SAFETY: that uses are ordered is what a model claims, and what loom checks at each of them.
#[allow(unsafe_code)]
unsafe impl Sync for Memory {}

impl Memory {
    pub fn read(&self) -> u32 {
        // SAFETY: loom has checked that no write runs beside this.
        #[allow(unsafe_code)]
        self.0.with(|bytes| unsafe { *bytes })
    }

    pub fn write(&self, value: u32) {
        // SAFETY: loom has checked that nothing runs beside this.
        #[allow(unsafe_code)]
        self.0.with_mut(|bytes| unsafe { *bytes = value });
    }
}
