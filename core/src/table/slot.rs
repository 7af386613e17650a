//! The slots: an array that grows by doubling segments and never moves, each slot naming one entry or none.
//!
//! ```text
//!   segment 0: 64 slots    segment 1: 128    segment 2: 256   ...   the 26th ends 64 below 2^32
//!   index      0 .. 63                64 .. 191       192 .. 447
//! ```
//!
//! This file has the table's only `unsafe`. What it rests on:
//!
//! - **T1.** A segment's pointer goes from null to one boxed slice of `segment_slots(k)` slots, once, and stays until the
//!   table is dropped.
//! - **T2.** A slot's pointer is null or came from `Arc::into_raw`; while it stands in the slot, the slot owns one count of
//!   that `Arc`.
//! - **T3.** Who takes a pointer out of a slot has that count. It gives it up through the guard of a reader's own
//!   collector, hence after every reader that can have loaded the pointer, or with the table to itself.
//!
//! | edge | written by | read by | what becomes visible | model that fails without it |
//! | --- | --- | --- | --- | --- |
//! | T-E1 | `publish` (Release) | `read` (Acquire) | the entry's fields | `get_sees_a_whole_entry_in_a_used_slot` |
//! | T-E2 | `grow` (Release) | `slots_of` (Acquire) | the segment's empty slots | `get_sees_a_whole_entry_in_a_new_segment` |
#![allow(unsafe_code)] // Entries are shared by pointer until no guard can see them; segments until the table goes.

use alloc::boxed::Box;
use core::marker::PhantomData;
use core::ptr;

use crossbeam_epoch::Guard;

use super::entry::Entry;
use crate::sync::Arc;
use crate::sync::atomic::{AtomicPtr, AtomicU64, Ordering};

/// Slots in the first segment; each further one has twice as many as the one before.
const FIRST: u64 = if crate::LOOM { 1 } else { 64 };
const SEGMENTS: usize = if crate::LOOM { 2 } else { 26 };

/// How many slots there can ever be.
pub(super) const CAPACITY: u32 = (FIRST * ((1 << SEGMENTS) - 1)) as u32;
const _: () = assert!(FIRST * ((1 << SEGMENTS) - 1) <= u32::MAX as u64, "an index fits its 32 bits");

/// One place for an entry.
pub(super) struct Slot<T> {
    entry: AtomicPtr<Entry<T>>,
    /// While the slot is free: the next free key, or 0. Its own word, because a reader may be late (see `free`).
    pub(super) next_free: AtomicU64,
}

/// All slots of a table.
pub(super) struct Slots<T> {
    segments: [AtomicPtr<Slot<T>>; SEGMENTS],
    /// The slots own counts of their entries (T2), so that the table may be sent and shared where those may be.
    owns: PhantomData<Arc<Entry<T>>>,
}

/// How many slots segment `k` has.
const fn segment_slots(k: usize) -> usize {
    (FIRST as usize) << k
}

/// The segment of an index, and the place in it.
const fn locate(index: u32) -> (usize, usize) {
    let k = (index as u64 / FIRST + 1).ilog2() as usize;
    (k, (index as u64 - FIRST * ((1 << k) - 1)) as usize)
}

impl<T> Slots<T> {
    pub(super) fn new() -> Self {
        Slots { segments: core::array::from_fn(|_| AtomicPtr::new(ptr::null_mut())), owns: PhantomData }
    }

    /// The slot of an index, if its segment exists.
    pub(super) fn get(&self, index: u32) -> Option<&Slot<T>> {
        let (k, place) = locate(index);
        self.slots_of(k).get(place)
    }

    /// The slot of an index below [`CAPACITY`]; makes its segment if nobody has yet.
    pub(super) fn get_or_grow(&self, index: u32) -> &Slot<T> {
        assert!(index < CAPACITY, "index {index} is not below the {CAPACITY} slots a table can have");
        let (k, place) = locate(index);
        if self.slots_of(k).is_empty() {
            self.grow(k);
        }
        &self.slots_of(k)[place]
    }

    /// All slots that exist, in the order of their indices.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Slot<T>> {
        (0..SEGMENTS).flat_map(|k| self.slots_of(k))
    }

    /// The slots of segment `k`: none while it does not exist.
    fn slots_of(&self, k: usize) -> &[Slot<T>] {
        // Acquire T-E2: pairs with the Release in `grow`; the slots in the segment are initialised.
        let first = self.segments.get(k).map_or(ptr::null_mut(), |segment| segment.load(Ordering::Acquire));
        if first.is_null() {
            return &[];
        }
        // SAFETY: T1. The pointer is a boxed slice of this length, and lives as long as the table that we borrow.
        unsafe { core::slice::from_raw_parts(first, segment_slots(k)) }
    }

    /// Makes segment `k`; of several who try at once one puts theirs in, the others drop theirs.
    fn grow(&self, k: usize) {
        let fresh: Box<[Slot<T>]> = (0..segment_slots(k)).map(|_| Slot::empty()).collect();
        let fresh = Box::into_raw(fresh);
        // Release T-E2: pairs with the Acquire in `slots_of`. Relaxed on failure: who needs the winner's loads it again.
        let put =
            self.segments[k].compare_exchange(ptr::null_mut(), fresh.cast(), Ordering::Release, Ordering::Relaxed);
        if put.is_err() {
            // SAFETY: T1. The pointer came from `Box::into_raw` above and nobody else has seen it.
            drop(unsafe { Box::from_raw(fresh) });
        }
    }
}

impl<T> Slot<T> {
    fn empty() -> Self {
        Slot { entry: AtomicPtr::new(ptr::null_mut()), next_free: AtomicU64::new(0) }
    }

    /// Puts an entry into an empty slot, which belongs to the caller until then.
    pub(super) fn publish(&self, entry: Arc<Entry<T>>) {
        // Release T-E1: pairs with the Acquire in `read`; the entry's fields are written before it can be found.
        self.entry.store(Arc::into_raw(entry).cast_mut(), Ordering::Release);
    }

    /// Takes `entry` out, if it is this slot's: the count that the slot held. Only the owner of an entry comes here, so
    /// nobody else takes it meanwhile.
    pub(super) fn unpublish(&self, entry: &Entry<T>) -> Option<Arc<Entry<T>>> {
        // Relaxed: we compare, and have the entry already.
        let ours = self.entry.load(Ordering::Relaxed);
        if !ptr::eq(ours, entry) {
            return None;
        }
        // Relaxed: null publishes nothing. The next `publish` comes after us through the free list.
        self.entry.store(ptr::null_mut(), Ordering::Relaxed);
        // SAFETY: T2, T3. The pointer stood in the slot, so it is from `Arc::into_raw`, and its count is now ours.
        Some(unsafe { Arc::from_raw(ours) })
    }

    /// The entry in this slot now. The guard is of the collector through which entries of this table are given up.
    pub(super) fn read<'g>(&'g self, _guard: &'g Guard) -> Option<&'g Entry<T>> {
        // Acquire T-E1: pairs with the Release in `publish`; the entry's fields are visible.
        let entry = self.entry.load(Ordering::Acquire);
        // SAFETY: T2, T3. The count of what we loaded is given up after this guard, or when the table, which we borrow, goes.
        unsafe { entry.as_ref() }
    }
}

impl<T> Drop for Slots<T> {
    fn drop(&mut self) {
        for k in 0..SEGMENTS {
            let slots: *const [Slot<T>] = self.slots_of(k);
            // Relaxed: `&mut self` says that all others are done, and their being done was made visible with it.
            let entries = self.slots_of(k).iter().map(|slot| slot.entry.load(Ordering::Relaxed));
            for entry in entries.filter(|entry| !entry.is_null()) {
                // SAFETY: T2, T3. We have the table to ourselves, so no reader is left, and each slot is visited once.
                drop(unsafe { Arc::from_raw(entry) });
            }
            if !slots.is_empty() {
                // SAFETY: T1. The segment is a boxed slice of this length; we have the table to ourselves.
                drop(unsafe { Box::from_raw(slots.cast_mut()) });
            }
        }
    }
}
