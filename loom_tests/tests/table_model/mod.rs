//! What the models of the table and the residency word share: a run that must have explored something, and bytes that
//! loom watches.
#![allow(dead_code, unreachable_pub)] // Each model uses its part.

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;

/// Runs `model` under every interleaving; fails where loom is off, or saw only one. Gives the number it saw.
pub fn explore(model: impl Fn() + Send + Sync + 'static) -> usize {
    const { assert!(freehold_core::LOOM, "these are the processor's atomics, not loom's: a model would check nothing") };
    let explored = std::sync::Arc::new(AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&explored);
    loom::model(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let explored = explored.load(Ordering::Relaxed);
    println!("explored {explored} interleavings");
    assert!(explored > 1, "one interleaving is no race");
    explored
}

/// The bytes of an entry, or anything that only its state protects: loom fails a model in which two uses of them, one of
/// them a write, are not ordered.
#[derive(Debug, Default)]
pub struct Bytes(UnsafeCell<u32>);

// SAFETY: that uses are ordered is what a model claims, and what loom checks at each of them.
#[allow(unsafe_code)]
unsafe impl Sync for Bytes {}

impl Bytes {
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
