//! Several entries at once: all of them pinned, or none.
//!
//! Who holds one entry and asks for the next may meet another who holds that one and asks for the first. Neither waits for the
//! other's pin: a pin is never waited for when room is made, it is what a refusal counts (E1). So there is nothing to order,
//! and a refusal gives back what was held.

use crate::access::Access;
use crate::error::Error;
use crate::handle::VramHandle;
use crate::manager::VramManager;

impl VramManager {
    /// Pins all these entries and gives a guard for each, in the order of the handles. Those that are on the card are pinned first, so
    /// that bringing the others evicts none of them. A handle may occur twice.
    ///
    /// **Progress**: as [`VramHandle::access`] for each: where all are resident, lock-free. No deadlock between two calls that want
    /// the same entries in opposite orders: where they do not fit side by side, at least one is refused (G2).
    ///
    /// # Errors
    /// The first that [`VramHandle::access`] gives; nothing is pinned then by this call. What it had brought stays on the card,
    /// evictable.
    ///
    /// # Example
    /// ```
    /// use freehold_cuda::{Allocation, Bytes, VramManager};
    /// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
    /// let [query, key] = [(); 2].map(|()| manager.allocate(Allocation::new(Bytes(4096))).unwrap());
    /// let guards = manager.access_all(&[&query, &key])?;
    /// assert_eq!(guards.len(), 2); // both stand still until `guards` is dropped
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    pub fn access_all<'h>(&self, handles: &[&'h VramHandle]) -> Result<Vec<Access<'h>>, Error> {
        let mut guards: Vec<Option<Access<'h>>> = Vec::with_capacity(handles.len());
        for handle in handles {
            guards.push(if handle.is_resident() { Some(handle.access()?) } else { None });
        }
        handles.iter().zip(guards).map(|(handle, held)| held.map_or_else(|| handle.access(), Ok)).collect()
    }
}
