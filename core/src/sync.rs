//! The one door to shared state: the processor's atomics, or loom's when a model is being checked.
//!
//! Nothing else in the core names `core::sync::atomic` or `loom`. The cfg `freehold_loom` is set by the build script of
//! `loom_tests`, which compiles these same sources as a second library.
#![allow(unused_imports, dead_code)]

#[cfg(not(freehold_loom))]
pub(crate) mod atomic {
    pub(crate) use core::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

#[cfg(freehold_loom)]
pub(crate) mod atomic {
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicI32, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

/// Counted sharing, which loom watches too: it then reports a count that nobody gave up.
#[cfg(not(freehold_loom))]
pub(crate) use alloc::sync::Arc;
#[cfg(freehold_loom)]
pub(crate) use loom::sync::Arc;

/// What a loop does while it waits for nothing in particular: under loom it gives the turn away, so that models end.
pub(crate) fn spin_hint() {
    #[cfg(freehold_loom)]
    loom::thread::yield_now();
    #[cfg(not(freehold_loom))]
    core::hint::spin_loop();
}

/// `count` zeroed words in one allocation. Fresh zero pages come from the system untouched: a 141 GiB arena costs
/// microseconds here, where collecting an iterator would write every word.
pub(crate) fn zeroed_words(count: usize) -> alloc::boxed::Box<[atomic::AtomicU64]> {
    #[cfg(freehold_loom)]
    return (0..count).map(|_| atomic::AtomicU64::new(0)).collect();
    #[cfg(not(freehold_loom))]
    bytemuck::zeroed_slice_box(count)
}

/// Stands between a SeqCst write and a SeqCst load of another word. On every real target the two accesses are in the one
/// order of all SeqCst accesses already, and nothing is emitted; loom treats SeqCst accesses as AcqRel and models only
/// fences, so there it is one.
pub(crate) fn sequentially_consistent() {
    #[cfg(freehold_loom)]
    atomic::fence(atomic::Ordering::SeqCst);
}

/// Part of a value that is published by its address: under loom, whoever follows the address must find the value finished and not
/// yet gone, and a value that never goes is reported as a leak. Elsewhere nothing.
#[derive(Debug, Default)]
pub(crate) struct Finished {
    #[cfg(freehold_loom)]
    mark: atomic::AtomicU64,
    #[cfg(freehold_loom)]
    reading: loom::cell::UnsafeCell<()>,
    #[cfg(freehold_loom)]
    allocated: Option<loom::alloc::Track<()>>,
}

// SAFETY: nothing is ever reached through the cell. Loom watches who looks at it, and whether that is ordered before its end.
#[cfg(freehold_loom)]
#[allow(unsafe_code)]
unsafe impl Sync for Finished {}

impl Finished {
    /// Last thing before the publication.
    pub(crate) fn mark(&mut self) {
        #[cfg(freehold_loom)]
        self.allocated.replace(loom::alloc::Track::new(()));
        // Relaxed: the publication is to order this, and the model is to see whether it does.
        #[cfg(freehold_loom)]
        self.mark.store(1, atomic::Ordering::Relaxed);
    }

    /// First thing after following the address.
    pub(crate) fn check(&self) {
        // Relaxed: as in `mark`.
        #[cfg(freehold_loom)]
        assert_eq!(self.mark.load(atomic::Ordering::Relaxed), 1, "followed before its publication, or after its end");
        #[cfg(freehold_loom)]
        self.reading.with(|_| ());
    }

    /// In place of freeing the memory under loom, so that who still follows the address is caught and not undefined.
    pub(crate) fn gone(&mut self) {
        #[cfg(freehold_loom)]
        self.allocated.take();
        // Relaxed: as in `mark`.
        #[cfg(freehold_loom)]
        self.mark.store(2, atomic::Ordering::Relaxed);
        #[cfg(freehold_loom)]
        self.reading.with_mut(|_| ());
    }
}

/// Words that are only ever hints: nothing that is true or safe depends on what they say, so no model follows them, and
/// they are the processor's atomics under loom too. Read and written relaxed.
pub(crate) mod hint {
    pub(crate) use core::sync::atomic::AtomicU64;
    use core::sync::atomic::Ordering::Relaxed;

    /// What it says now.
    pub(crate) fn get(word: &AtomicU64) -> u64 {
        // Relaxed: a hint.
        word.load(Relaxed)
    }

    /// Says something else from now on.
    pub(crate) fn set(word: &AtomicU64, value: u64) {
        // Relaxed: a hint.
        word.store(value, Relaxed);
    }

    /// `count` words that say nothing yet, as fresh zero pages.
    pub(crate) fn words(count: usize) -> alloc::boxed::Box<[AtomicU64]> {
        bytemuck::zeroed_slice_box(count)
    }
}
