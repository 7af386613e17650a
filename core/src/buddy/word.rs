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

/// The places from which at least `count` ones follow upwards, `count` at least 1. At most [`RADIX_LOG2`] turns: each doubles
/// what one bit stands for.
#[inline]
pub(super) const fn starts_of(word: u64, count: u64) -> u64 {
    let (mut starts, mut stands_for) = (word, 1);
    while stands_for < count {
        let more = if count - stands_for < stands_for { count - stands_for } else { stands_for };
        starts &= starts >> more;
        stands_for += more;
    }
    starts
}

/// The first places of the runs of at least `least` and less than `least + width` ones; `width` is at most `least`.
/// A run that goes up to the end of the word counts as it stands.
#[inline]
pub(super) const fn runs_of(word: u64, least: u64, width: u64) -> u64 {
    let starts = starts_of(word, least);
    starts & !(starts >> width) & !(word << 1)
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

    #[test]
    fn runs_are_found_by_their_length() {
        let word = 0b1111_0110_0111_1101;
        assert_eq!(starts_of(word, 1), word);
        assert_eq!(starts_of(word, 3), 0b0011_0000_0001_1100);
        assert_eq!(starts_of(word, 5), 0b0000_0000_0000_0100);
        assert_eq!(starts_of(FULL, 64), 1);
        assert_eq!([1, 2, 3, 4].map(|length| runs_of(word, length, 1)), [1, 1 << 9, 0, 1 << 12]);
        assert_eq!(runs_of(word, 4, 2), 1 << 12 | 1 << 2);
    }
}
