//! Size classes: eight to a doubling, so that the holes of one class differ in length by an eighth at most.
//!
//! ```text
//!   granules   1 | 2 | ... | 15 | 16-17 | 18-19 | ... | 30-31 | 32-35 | 36-39 | ...
//!   class      0 | 1 | ... | 14 |  15   |  16   | ... |  22   |  23   |  24   | ...
//! ```
//! Up to 15 granules a class is one length. A hole of a class and every hole of a class above are as long as the class's
//! shortest, but only the classes above fit any request of the class.

use super::word::RADIX_LOG2;

/// log2 of the classes to a doubling.
const STEPS_LOG2: u32 = 3;
const STEPS: usize = 1 << STEPS_LOG2;
/// The class of [`STEPS`] granules: those before have one length each.
const FIRST: usize = STEPS - 1;

/// The class of holes of `granules` granules.
#[inline]
pub(super) const fn class_of(granules: u64) -> usize {
    if granules < STEPS as u64 {
        return granules as usize - 1;
    }
    let log2 = granules.ilog2() - STEPS_LOG2;
    FIRST + log2 as usize * STEPS + (granules >> log2) as usize % STEPS
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
        let log2 = shortest(class).ilog2();
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

/// The shortest length of `class`.
const fn shortest(class: usize) -> u64 {
    match class {
        0..FIRST => class as u64 + 1,
        _ => ((STEPS + (class - FIRST) % STEPS) as u64) << ((class - FIRST) / STEPS),
    }
}

/// How many lengths `class` has.
const fn lengths(class: usize) -> u64 {
    match class {
        0..FIRST => 1,
        _ => 1 << ((class - FIRST) / STEPS),
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
            assert!((shortest(class)..shortest(class) + lengths(class)).contains(&granules));
            last = class;
        }
        assert_eq!([1, 2, 7, 8, 15, 16, 17, 18, 31, 32, 36].map(class_of), [0, 1, 6, 7, 14, 15, 15, 16, 22, 23, 24]);
    }
}
