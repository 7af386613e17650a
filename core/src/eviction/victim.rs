//! The victims: the first few to leave, found in one scan and taken in order.
//!
//! The scan keeps `N` candidates as a heap whose root leaves last. Once the heap is full, a candidate that leaves later than
//! the root is turned away by one comparison, which is what happens to nearly all of them. At the end the heap is
//! sorted.

use core::cmp::Reverse;

use arrayvec::ArrayVec;

use super::rank::Rank;
use crate::table::HandleKey;
use crate::units::Bytes;

/// One that may leave: its place in the order, its name, and what its leaving gives back.
///
/// A victim is only a candidate: between the scan and its turn it may be used, pinned, or gone, so taking it away begins with
/// a claim on its residency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Victim<K = Rank> {
    /// Smallest leaves first.
    pub rank: K,
    /// Its name in the table.
    pub key: HandleKey,
    /// What it occupies.
    pub bytes: Bytes,
}

/// The first `N` to leave of those that one scan met, in exact order; an iterator that takes them.
///
/// Any order will do in place of [`Rank`], such as priority and predicted next use.
///
/// ```
/// use freehold_core::eviction::{Rank, Victim, Victims};
/// use freehold_core::{Bytes, table::Table};
///
/// let table = Table::new(crossbeam_epoch::Collector::new());
/// let owners = [7, 3, 5].map(|last_use| table.insert(0, last_use, ()));
/// let candidates = owners.iter().map(|entry| Victim { rank: entry.rank(), key: entry.key(), bytes: Bytes(512) });
///
/// let mut victims = Victims::<2>::first_of(candidates);
/// assert!(!victims.is_complete(), "there was a third");
/// assert_eq!(victims.next().map(|victim| victim.rank.last_use), Some(3));
/// assert_eq!(victims.next().map(|victim| victim.rank.last_use), Some(5));
/// assert!(victims.next().is_none());
/// ```
#[derive(Clone, Debug)]
pub struct Victims<const N: usize = 64, K = Rank> {
    /// From the last to leave to the first, so that the first is taken off the end.
    kept: ArrayVec<Victim<K>, N>,
    complete: bool,
}

impl<K: Ord + Copy> Victims<64, K> {
    /// The first 64 to leave: enough for nearly every round.
    #[must_use]
    pub fn gather(candidates: impl IntoIterator<Item = Victim<K>>) -> Self {
        Self::first_of(candidates)
    }
}

impl<const N: usize, K: Ord + Copy> Victims<N, K> {
    /// The first `N` to leave. **Complexity**: one comparison a candidate, and log N for those that enter the heap.
    #[must_use]
    pub fn first_of(candidates: impl IntoIterator<Item = Victim<K>>) -> Self {
        const { assert!(N > 0, "a round of no victims frees nothing") };
        let mut candidates = candidates.into_iter();
        let mut kept: ArrayVec<Victim<K>, N> = candidates.by_ref().take(N).collect();
        (0..kept.len() / 2).rev().for_each(|place| sift_down(&mut kept, place));
        let mut complete = true;
        for candidate in candidates {
            complete = false;
            if order(&candidate) < order(&kept[0]) {
                kept[0] = candidate;
                sift_down(&mut kept, 0);
            }
        }
        kept.sort_unstable_by_key(|victim| Reverse(order(victim)));
        Victims { kept, complete }
    }

    /// Whether these were all that the scan met; otherwise, when they are used up, scan again.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.complete
    }
}

/// The next to leave.
impl<const N: usize, K> Iterator for Victims<N, K> {
    type Item = Victim<K>;

    fn next(&mut self) -> Option<Victim<K>> {
        self.kept.pop()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.kept.len(), Some(self.kept.len()))
    }
}

impl<const N: usize, K> ExactSizeIterator for Victims<N, K> {}

/// Ranks hold the id and never tie; where another order does, the older name leaves first.
fn order<K: Ord + Copy>(victim: &Victim<K>) -> (K, HandleKey) {
    (victim.rank, victim.key)
}

/// Restores the heap below `place`: every parent leaves later than its children. Bounded by the depth of the heap.
fn sift_down<K: Ord + Copy>(heap: &mut [Victim<K>], mut place: usize) {
    while let Some(child) = later_child(heap, place).filter(|&child| order(&heap[child]) > order(&heap[place])) {
        heap.swap(place, child);
        place = child;
    }
}

fn later_child<K: Ord + Copy>(heap: &[Victim<K>], place: usize) -> Option<usize> {
    let children = 2 * place + 1..(2 * place + 3).min(heap.len());
    children.max_by_key(|&child| order(&heap[child]))
}
