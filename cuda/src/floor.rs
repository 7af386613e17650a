//! The floor of the walk: whether a request may evict who ranks higher than it does (B9).
//!
//! ```text
//!   order of leaving   -3   0   0   2 | 5   9          asked with priority 2
//!   Floor::None        all of them, as far as needed
//!   Floor::Requester   ------------->   these stay, and move only: they are in a refusal's list of what stays
//! ```
//!
//! A request carries its ceiling (`Want::ceiling`), a survey counts who is above it among what stays, and so every verdict, number
//! and piece of advice of a refusal follows from that one place. The eviction itself looks once more: priorities change.

use crate::inner::Inner;
use crate::tenant::Tenant;
use freehold_core::Entry;

/// Whom a request may evict, by priority.
///
/// | asks | with the priority |
/// | --- | --- |
/// | [`allocate`](crate::VramManager::allocate) and its waiting forms | of the [`Allocation`](crate::Allocation::priority) |
/// | an access, a prefetch | of the handle; of shared weights, the highest of their live consumers |
/// | [`reserve`](crate::VramManager::reserve) | 0, as an allocation that says nothing; [or another](crate::VramManager::reserve_with_priority) |
/// | [`evict_for_space`](crate::VramManager::evict_for_space), [`set_budget`](crate::VramManager::set_budget) | none: who owns the card does this, and no floor holds it up |
/// | [`handover`](crate::VramManager::handover) | none: it says itself how high it reaches |
///
/// **Progress**, **Complexity**: a comparison for each entry of a survey. A change of priority wakes who waits for memory, under
/// `Requester` only.
///
/// # Errors
/// A request that could be satisfied only by who ranks higher is refused with [`Error::OutOfMemory`](crate::Error::OutOfMemory),
/// and nobody has left: its `evictable` is what may leave *for this request*, and where a higher priority is enough, the
/// [advice](crate::Advice::AskWithPriority) says which. One that waits goes on waiting.
///
/// # Example
/// ```
/// use freehold_cuda::{Allocation, Bytes, Floor, HostBytes, VramManager};
///
/// let manager = VramManager::builder().budget(Bytes(8192)).floor(Floor::Requester).build()?;
/// let layer = || Allocation::new(Bytes(6000)).source(HostBytes(vec![7; 6000].into()));
/// let chat = manager.allocate(layer().priority(5))?;
/// assert!(manager.allocate(layer()).is_err()); // of priority 0: the chat's layer is not for it
/// assert!(chat.is_resident());
/// let other = manager.allocate(layer().priority(5))?; // equals may
/// assert!(!chat.is_resident());
/// # drop(other);
/// # Ok::<(), freehold_cuda::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Floor {
    /// Anybody: priority says who leaves first, and nothing about who asks. A request is refused only where all that may leave would
    /// not do; one of low priority that is asked for again and again can therefore push out what is more important.
    #[default]
    None,
    /// Those who rank no higher than the one who asks. Who ranks higher stays, and may be moved, which takes nothing from it.
    Requester,
}

impl Floor {
    /// The highest priority that leaves for a request of `priority`.
    pub(crate) fn ceiling(self, priority: i32) -> i32 {
        match self {
            Floor::None => i32::MAX,
            Floor::Requester => priority,
        }
    }
}

impl Inner {
    /// A priority was changed: where that says who may leave, and for whom, whoever waits looks again.
    pub(crate) fn saw_priority_changed(&self) {
        if self.floor == Floor::Requester && self.is_ours() {
            self.ring(); // its fence puts the change before the look at who waits
        }
    }

    /// Changes an entry's own priority.
    pub(crate) fn set_priority(&self, entry: &Entry<Tenant>, priority: i32) {
        entry.set_priority(priority);
        self.saw_priority_changed();
    }
}
