//! The rank: the key by which entries leave, smallest first.

use crate::table::Entry;

/// Priority, then last use, then id: lower leaves first (B2), then colder, then inserted earlier (B5).
///
/// The order of the fields is the order of comparison. No score mixes them: an entry of a higher priority stays as long as one of
/// a lower can leave, however hot that one is. The whole `i32` range orders correctly (B8).
///
/// ```
/// use freehold_core::eviction::Rank;
///
/// let hot_but_low = Rank { priority: -1, last_use: 900, id: 2 };
/// let cold_but_high = Rank { priority: i32::MAX, last_use: 1, id: 1 };
/// assert!(hot_but_low < cold_but_high, "the lower priority leaves first");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rank {
    /// Lower leaves first.
    pub priority: i32,
    /// The tick of the latest use: older leaves first.
    pub last_use: u64,
    /// The number in the order of insertion: it decides between equals, the same way every time.
    pub id: u64,
}

impl<T> Entry<T> {
    /// Where the entry stands in the order of eviction now.
    #[must_use]
    pub fn rank(&self) -> Rank {
        Rank { priority: self.priority(), last_use: self.last_use(), id: self.id() }
    }
}
