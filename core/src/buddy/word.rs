//! One 64-bit word of the tree: the bits of one group, and the few pure questions asked of them.
//!
//! A bit at 1 is a token of free space. Nothing here is shared or atomic: these functions take a word's value and give a
//! value, and no other file of the buddy shifts a bit by hand.

/// How many bits of a unit's number choose its place in its word. Under loom a group has 4 units, so that models see
/// several levels at sizes that can be explored to the end.
pub(super) const RADIX_LOG2: u32 = if cfg!(freehold_loom) { 2 } else { 6 };

/// Units in one group, which is one word.
pub(super) const RADIX: u64 = 1 << RADIX_LOG2;

/// A word whose units are all free.
pub(super) const FULL: u64 = u64::MAX >> (64 - RADIX);

/// The word that holds unit `unit` of a level.
pub(super) const fn word_of(unit: u64) -> usize {
    (unit >> RADIX_LOG2) as usize
}

/// The place of unit `unit` in its word.
pub(super) const fn bit_of(unit: u64) -> u32 {
    (unit & (RADIX - 1)) as u32
}

/// `count` ones from bit `first` up. `count` is at least 1 and `first + count` at most [`RADIX`].
pub(super) const fn ones(first: u32, count: u64) -> u64 {
    (u64::MAX >> (64 - count)) << first
}

/// How many ones follow each other from bit `first` upwards.
pub(super) const fn ones_up(word: u64, first: u32) -> u64 {
    (!(word >> first)).trailing_zeros() as u64
}

/// How many ones follow each other from bit `last` downwards.
pub(super) const fn ones_down(word: u64, last: u32) -> u64 {
    (!(word << (63 - last))).leading_zeros() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_ones_end_at_the_first_zero_and_at_the_ends_of_the_word() {
        for first in 0..64 {
            for count in 1..=u64::from(64 - first) {
                let word = ones(first, count);
                let last = first + count as u32 - 1;
                assert_eq!(word.count_ones() as u64, count);
                assert_eq!((ones_up(word, first), ones_down(word, last)), (count, count));
            }
        }
        assert_eq!((ones_up(0, 5), ones_down(0, 5)), (0, 0));
        assert_eq!((ones_up(FULL, 0), ones_down(FULL, 63)), (64, 64));
    }
}
