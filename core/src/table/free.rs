//! The free list: a stack of the keys that come next, linked through their slots.
//!
//! The textbook trouble of such a stack is that its head may come back to an old value with another successor (ABA), and
//! its textbook remedy is a tag that may wrap. Here the keys are the remedy: a retired slot goes back under its next
//! generation, and no generation is given out twice, so no key is pushed twice. A head that still reads as it did was
//! therefore on the stack all the time, and a key on the stack keeps its successor.
//!
//! | edge | written by | read by | what becomes visible | model that fails without it |
//! | --- | --- | --- | --- | --- |
//! | F-E1 | `push` (Release) | `pop` (Acquire) | the link, and the slot left empty | `freed_slot_is_handed_out_once` |

use super::handle::HandleKey;
use super::slot::Slots;
use crate::sync::atomic::{AtomicU64, Ordering};

/// The top of the stack: a key's bits, or 0.
pub(super) struct FreeList(AtomicU64);

impl FreeList {
    pub(super) fn new() -> Self {
        FreeList(AtomicU64::new(0))
    }

    /// The key at the top, without taking it.
    pub(super) fn top(&self) -> Option<HandleKey> {
        // Acquire F-E1: pairs with the Release in `push`; the key's link is visible.
        HandleKey::from_bits(self.0.load(Ordering::Acquire))
    }

    /// Takes a key, and with it its slot, which is empty. Lock-free: a retry means that another took or gave one.
    pub(super) fn pop<T>(&self, slots: &Slots<T>) -> Option<HandleKey> {
        let mut top = self.top()?;
        loop {
            let next = Self::below(top, slots);
            // Acquire F-E1 on failure: as in `top`, for the next round. Relaxed on success: the value was acquired when we
            // read it, and all that write it are read-modify-writes, which keep what earlier pushes released.
            match self.0.compare_exchange_weak(top.to_bits(), next, Ordering::Relaxed, Ordering::Acquire) {
                Ok(_) => return Some(top),
                Err(now) => top = HandleKey::from_bits(now)?,
            }
        }
    }

    /// Gives a key that was never on the list, and with it its empty slot. Lock-free, as `pop`.
    pub(super) fn push<T>(&self, key: HandleKey, slots: &Slots<T>) {
        let slot = slots.get_or_grow(key.index());
        // Relaxed: it is only the value to expect, and no successor is read through it here.
        let mut top = self.0.load(Ordering::Relaxed);
        loop {
            // Relaxed: published by the exchange below. A late `pop` may still read this word, and then fails its own.
            slot.next_free.store(top, Ordering::Relaxed);
            // Release F-E1: pairs with the Acquire in `top` and `pop`. Relaxed on failure: as above.
            match self.0.compare_exchange_weak(top, key.to_bits(), Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// The bits of the key below `key`, which is, or was, on the list.
    pub(super) fn below<T>(key: HandleKey, slots: &Slots<T>) -> u64 {
        let slot = slots.get(key.index()).expect("a key on the free list has a slot");
        // Relaxed: written before the push that we acquired; if the slot has moved on since, the exchange fails.
        slot.next_free.load(Ordering::Relaxed)
    }
}
