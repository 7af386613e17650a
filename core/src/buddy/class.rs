//! Size classes: four to a doubling, so that the holes of one class differ in length by a quarter at most.
//!
//! ```text
//!   granules   1 | 2 | 3 | 4 | 5 | 6 | 7 | 8-9 | 10-11 | 12-13 | 14-15 | 16-19 | 20-23 | ...
//!   class      0 | 1 | 2 | 3 | 4 | 5 | 6 |  7  |   8   |   9   |  10   |  11   |  12   | ...
//! ```
//! Up to 7 granules a class is one length. A hole of a class and every hole of a class above are as long as the class's
//! shortest, but only the classes above fit any request of the class.

use super::word::RADIX_LOG2;

/// The class of holes of `granules` granules.
#[inline]
pub(super) const fn class_of(granules: u64) -> usize {
    if granules < 4 {
        return granules as usize - 1;
    }
    let log2 = granules.ilog2();
    3 + (log2 as usize - 2) * 4 + (granules >> (log2 - 2)) as usize % 4
}

/// What is asked of one class all the time.
pub(super) struct Class {
    /// The shortest hole of the class, and how many lengths it has.
    pub(super) shortest: u64,
    pub(super) lengths: u64,
    /// Shorter than a group: these holes lie in the words of level 0, and several may start in one region.
    pub(super) short: bool,
    /// log2 of the granules in a region: at most one hole of the class starts there, and then covers the region's last granule.
    /// Below one group's length a region is a group.
    pub(super) region_log2: u32,
}

impl Class {
    pub(super) fn new(class: usize) -> Class {
        let log2 = shortest_log2(class);
        Class {
            shortest: shortest(class),
            lengths: lengths(class),
            short: log2 < RADIX_LOG2,
            region_log2: log2.max(RADIX_LOG2),
        }
    }

    /// Whether a hole of so many granules is of this class.
    #[inline]
    pub(super) const fn has(&self, granules: u64) -> bool {
        granules.wrapping_sub(self.shortest) < self.lengths
    }
}

/// log2, rounded down, of the shortest hole of `class`.
const fn shortest_log2(class: usize) -> u32 {
    match class {
        0 => 0,
        1 | 2 => 1,
        _ => (class as u32 - 3) / 4 + 2,
    }
}

/// The shortest length of `class`.
const fn shortest(class: usize) -> u64 {
    match class {
        0..3 => class as u64 + 1,
        _ => (4 + (class as u64 - 3) % 4) << ((class - 3) / 4),
    }
}

/// How many lengths `class` has.
const fn lengths(class: usize) -> u64 {
    match class {
        0..3 => 1,
        _ => 1 << ((class - 3) / 4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_ascend_without_a_gap() {
        let mut last = 0;
        for granules in 2..100_000 {
            let class = class_of(granules);
            assert!(class == last || class == last + 1);
            assert_eq!(granules.ilog2(), shortest_log2(class));
            assert!((shortest(class)..shortest(class) + lengths(class)).contains(&granules));
            last = class;
        }
        assert_eq!([1, 2, 3, 4, 7, 8, 9, 10, 16, 19, 20].map(class_of), [0, 1, 2, 3, 6, 7, 7, 8, 11, 11, 12]);
    }
}
