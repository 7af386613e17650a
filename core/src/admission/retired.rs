//! When nobody looks any more: a ledger that was replaced is freed by the last one to leave.
//!
//! Whoever may follow an address is counted as inside before it loads the word. When the count falls to 0 two things are known of
//! every ledger that was replaced before: nobody is inside who could have found it, and whoever comes later finds the word
//! without it. So who leaves last frees what it replaced itself. Who leaves with others still inside puts it on a stack
//! and leaves a mark beside the count; a last one that sees the mark takes the stack, and frees it if the count is still (or
//! again) 0 thereafter.
//!
//! | edge | writer | reader | what becomes visible | without it fails |
//! | --- | --- | --- | --- | --- |
//! | R1 | `leave` (Release) | `enter` (Acquire) | that the word has no ledger that is being freed | `admission_replaced_ledger_outlives_its_readers` |
//! | R2 | `leave` (Release) | the last `leave`, `sweep` (Acquire) | that all reading is over | the same; for `sweep` `admission_swept_ledger_has_no_late_reader` |
//! | R3 | `push` (Release) | `take_all` (Acquire) | the links of the stack | `admission_no_replaced_ledger_is_lost` |
//!
//! All writers of `inside` are read-modify-writes, so each continues the release sequences of those before it: who enters after a
//! sweep acquires from every `leave` before it, and `sweep` has nothing of its own to release.
//!
//! Progress: lock-free, nobody waits for readers. A thread stopped inside delays the freeing of what is replaced meanwhile, and so
//! do operations that overlap without a gap; what they leave is freed at a later gap, at the latest with the pool.
//! Rejected: epochs (crossbeam-epoch without std: to register for each operation made it 470 ns, and loom did not see them).
#![allow(unsafe_code)] // Freeing what was published by address: C1 to C3 of `cell`, and the two things above.

use alloc::boxed::Box;
use core::cell::Cell;

use super::ledger::Ledger;
use crate::sync::Finished;
use crate::sync::atomic::{AtomicU64, Ordering};

/// A ledger where it can be found by its address, and the link that it needs once it is replaced.
pub(super) struct Published {
    ledger: Ledger,
    finished: Finished,
    /// The one that was retired before it. 0: none.
    older: AtomicU64,
}

/// Who may be reading, and what they left behind.
pub(super) struct Retired {
    /// How many are inside, and [`LEFT`] where the stack may have something.
    inside: AtomicU64,
    newest: AtomicU64,
}

const LEFT: u64 = 1 << 63;

/// As long as this lives nothing is freed that the word had since it began.
pub(super) struct Inside<'r> {
    retired: &'r Retired,
    /// What we replaced: 0 or one address, because an operation replaces once.
    replaced: Cell<u64>,
}

impl Published {
    /// Gives the ledger up to an address, even and not 0.
    pub(super) fn publish(ledger: Ledger) -> u64 {
        let mut published = Box::new(Published { ledger, finished: Finished::default(), older: AtomicU64::new(0) });
        published.finished.mark();
        Box::into_raw(published).expose_provenance() as u64
    }

    fn at(address: u64) -> *mut Published {
        core::ptr::with_exposed_provenance_mut(address as usize)
    }

    /// # Safety
    /// The address comes from `publish`, nobody else can reach it any more, and this is done once.
    pub(super) unsafe fn free(address: u64) {
        // SAFETY: what the caller promises.
        let mut published = unsafe { Box::from_raw(Published::at(address)) };
        published.finished.gone();
        #[cfg(freehold_loom)]
        Box::leak(published).ledger.forget_waiters();
    }
}

impl Retired {
    pub(super) fn new() -> Retired {
        Retired { inside: AtomicU64::new(0), newest: AtomicU64::new(0) }
    }

    pub(super) fn enter(&self) -> Inside<'_> {
        // Acquire: R1, pairs with the Release in `leave` and in `sweep`.
        self.inside.fetch_add(1, Ordering::Acquire);
        Inside { retired: self, replaced: Cell::new(0) }
    }

    fn leave(&self, replaced: u64) {
        // AcqRel: R1 and R2, pairs with `enter` and with itself: our reading is over, and so is that of all who left before.
        let before = self.inside.fetch_sub(1, Ordering::AcqRel);
        let last = before & !LEFT == 1;
        if replaced != 0 && last {
            // SAFETY: nobody was inside when we left, and the word had it no more: nobody reaches it.
            unsafe { Published::free(replaced) };
        } else if replaced != 0 {
            self.push(replaced);
        }
        if last && before & LEFT != 0 {
            self.sweep();
        }
    }

    /// Frees what is on the stack if there is a moment, after we took it, in which nobody is inside.
    fn sweep(&self) {
        let taken = self.take_all();
        // Acquire: R2, pairs with the Release in `leave`. (R1 needs nothing here: a read-modify-write hides no earlier Release.)
        // Relaxed on failure: nothing is concluded from it.
        if self.inside.compare_exchange(LEFT, 0, Ordering::Acquire, Ordering::Relaxed).is_ok() {
            // SAFETY: all that we took was replaced before that moment: nobody reaches it any more.
            Retired::for_each(taken, |address| unsafe { Published::free(address) });
        } else {
            Retired::for_each(taken, |address| self.push(address));
        }
    }

    fn push(&self, address: u64) {
        // SAFETY: the address is retired and not yet on the stack: only we have it, and it is not freed before it is there.
        let link = unsafe { &(*Published::at(address)).older };
        // Relaxed: the exchange checks it, and nothing is followed.
        let mut newest = self.newest.load(Ordering::Relaxed);
        // Bounded by the pushes and takes of others.
        loop {
            // Relaxed: published by the exchange.
            link.store(newest, Ordering::Relaxed);
            // Release: R3, pairs with the Acquire in `take_all`. Relaxed on failure: it is only tried again.
            match self.newest.compare_exchange_weak(newest, address, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => newest = now,
            }
        }
        // Relaxed: the mark only says where to look; what is there is published by the push.
        self.inside.fetch_or(LEFT, Ordering::Relaxed);
    }

    fn take_all(&self) -> u64 {
        // Acquire: R3, pairs with the Release in `push`.
        self.newest.swap(0, Ordering::Acquire)
    }

    /// Bounded by the length of the stack, which nobody else has. `each` is given an address once its link was read.
    fn for_each(mut address: u64, each: impl Fn(u64)) {
        while address != 0 {
            // SAFETY: it was on the stack that we took, so it is not freed and only we have it.
            let link = unsafe { &(*Published::at(address)).older };
            // Relaxed: `take_all` acquired it.
            let older = link.load(Ordering::Relaxed);
            each(address);
            address = older;
        }
    }
}

impl Inside<'_> {
    /// The ledger at an address that the word had while we were inside.
    ///
    /// # Safety
    /// The address was loaded from the word after `enter`, with Acquire.
    pub(super) unsafe fn ledger(&self, address: u64) -> &Ledger {
        // SAFETY: C1, and the word had it while we were inside: whoever frees it left last, and so after us.
        let published = unsafe { &*Published::at(address) };
        published.finished.check();
        &published.ledger
    }

    /// The word no longer has this address.
    ///
    /// # Safety
    /// The caller replaced it in the word, and so is the only one to say so.
    pub(super) unsafe fn retire(&self, address: u64) {
        debug_assert_eq!(self.replaced.get(), 0, "an operation replaces once");
        self.replaced.set(address);
    }
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        self.retired.leave(self.replaced.get());
    }
}

impl Drop for Retired {
    fn drop(&mut self) {
        // SAFETY: `&mut self`: nobody is inside, nor will be.
        Retired::for_each(self.take_all(), |address| unsafe { Published::free(address) });
    }
}

const _: () = {
    const fn freed_by_any_thread<T: Send + Sync + 'static>() {}
    freed_by_any_thread::<Published>();
};
