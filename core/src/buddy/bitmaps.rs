//! Bitmaps with summaries: for each of some rows one bit a place, and where the lowest ones are, in a load a level.
//!
//! ```text
//!   a row       [.......1]                       64-ary summaries up to one word
//!               [....][1..1][....]               one bit a place
//! ```
//! Read and written relaxed, without read-modify-write: a change is a load and a store, and of two changes to one word at one time
//! one may be lost. Whoever asks here looks elsewhere whether it is so.
//!
//! All rows have as many levels, the short ones too: a loop that is always as long is guessed right.

use alloc::boxed::Box;

use crate::sync::hint::{AtomicU64, get, set, words};

/// A word of a bitmap has 64 bits, also where the tree's groups are smaller.
const WORD_LOG2: u32 = 6;
/// Enough for 2^36 places.
const MOST_LEVELS: usize = 6;

/// The bitmaps of some rows.
pub(super) struct Bitmaps {
    depth: usize,
    rows: Box<[Row]>,
    words: Box<[AtomicU64]>,
}

/// Where one bitmap lies.
struct Row {
    places: u64,
    /// Where each level's words begin, the places' first.
    firsts: [usize; MOST_LEVELS],
}

impl Bitmaps {
    /// A row for each number of places, of which `most` is the highest; all zero.
    pub(super) fn new(most: u64, rows: impl Iterator<Item = u64>) -> Bitmaps {
        let (mut count, depth) = (0, ((most.max(2) - 1).ilog2() / WORD_LOG2 + 1).max(2) as usize);
        let rows = rows.map(|places| Row::new(places, depth, &mut count)).collect();
        Bitmaps { depth, rows, words: words(count) }
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.rows) + size_of_val(&*self.words)
    }

    /// Sets a place. One load a level, a store where something changes.
    #[inline]
    pub(super) fn set(&self, row: usize, mut at: u64) {
        for &first in self.levels(row) {
            raise(&self.words[first + (at >> WORD_LOG2) as usize], 1 << (at % 64));
            at >>= WORD_LOG2;
        }
    }

    /// Clears a place, and summaries as far as words become empty; says whether the row did.
    #[inline]
    pub(super) fn clear(&self, row: usize, mut at: u64) -> bool {
        for &first in self.levels(row) {
            let word = &self.words[first + (at >> WORD_LOG2) as usize];
            let left = get(word) & !(1 << (at % 64));
            set(word, left);
            if left != 0 {
                return false;
            }
            at >>= WORD_LOG2;
        }
        true
    }

    /// The places of a row that are set, lowest first.
    #[inline]
    pub(super) fn ones(&self, row: usize) -> Ones<'_> {
        let (word, rest) = self.lowest_word(row);
        Ones { bitmaps: self, row, next_word: if rest == 0 { 0 } else { word + 1 }, word, rest }
    }

    /// The lowest word of places that has some, and what it says, from the top down; 0 where a summary is over nothing.
    #[inline]
    fn lowest_word(&self, row: usize) -> (u64, u64) {
        let (mut at, mut word) = (0, 0);
        for (level, &first) in self.levels(row).iter().enumerate().rev() {
            word = get(&self.words[first + at as usize]);
            if word == 0 || level == 0 {
                break;
            }
            at = (at << WORD_LOG2) + u64::from(word.trailing_zeros());
        }
        (at, word)
    }

    /// The first word of places at or after the `from`th that has some, and what it says; 0 where none has. Each word is
    /// visited once at most; a summary bit over nothing is taken away.
    #[cold]
    fn word_from(&self, row: usize, from: u64) -> (u64, u64) {
        // From the start on, the one word at the top says where: nothing is gained by going up to it.
        let (mut level, mut at) = if from == 0 { (self.depth - 1, 0) } else { (1, from) };
        while level < self.depth {
            let rest = self.word(row, level, at >> WORD_LOG2) >> (at % 64);
            if rest == 0 {
                (level, at) = (level + 1, (at >> WORD_LOG2) + 1);
                continue;
            }
            at += u64::from(rest.trailing_zeros());
            match self.word(row, level - 1, at) {
                0 => {
                    self.clear(row, at << (WORD_LOG2 * level as u32));
                    at += 1;
                }
                word if level == 1 => return (at, word),
                _ => (level, at) = (level - 1, at << WORD_LOG2),
            }
        }
        (0, 0)
    }

    /// What the `at`th word of a level says; nothing past the level's end.
    fn word(&self, row: usize, level: usize, at: u64) -> u64 {
        let row = &self.rows[row];
        if at < row.words(level) { get(&self.words[row.firsts[level] + at as usize]) } else { 0 }
    }

    #[inline]
    fn levels(&self, row: usize) -> &[usize] {
        &self.rows[row].firsts[..self.depth]
    }
}

impl Row {
    /// Lays a bitmap out from word `count` on.
    fn new(places: u64, depth: usize, count: &mut usize) -> Row {
        let mut row = Row { places, firsts: [0; MOST_LEVELS] };
        for level in 0..depth {
            row.firsts[level] = *count;
            *count += row.words(level) as usize;
        }
        row
    }

    /// The words of a level.
    fn words(&self, level: usize) -> u64 {
        ((self.places - 1) >> (WORD_LOG2 * (level as u32 + 1))) + 1
    }
}

/// The places of a row: what one word says is kept while its bits are gone through.
pub(super) struct Ones<'a> {
    bitmaps: &'a Bitmaps,
    row: usize,
    next_word: u64,
    word: u64,
    rest: u64,
}

impl Iterator for Ones<'_> {
    type Item = u64;

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        if self.rest == 0 && !self.go_on() {
            return None;
        }
        let at = (self.word << WORD_LOG2) + u64::from(self.rest.trailing_zeros());
        self.rest &= self.rest - 1;
        Some(at)
    }
}

impl Ones<'_> {
    /// To the next word that has some, if one has.
    #[inline(never)]
    fn go_on(&mut self) -> bool {
        (self.word, self.rest) = self.bitmaps.word_from(self.row, self.next_word);
        self.next_word = self.word + 1;
        self.rest != 0
    }
}

/// Sets a bit; nothing is written where it is set.
#[inline]
pub(super) fn raise(word: &AtomicU64, bit: u64) {
    let seen = get(word);
    if seen & bit == 0 {
        set(word, seen | bit);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeSet;
    use alloc::vec::Vec;

    #[test]
    fn ones_are_those_that_were_set_and_not_cleared() {
        for places in [1, 63, 64, 65, 4096, 4097, 300_000] {
            let (bitmaps, mut twin) = (Bitmaps::new(places, [places, 1, places].into_iter()), BTreeSet::new());
            let mut at = 7;
            for turn in 0..400 {
                at = (at * 0x5DEE_CE66 + 11) % 0xFFFF_FFFB;
                let place = at % places;
                if turn % 3 == 2 {
                    twin.remove(&place);
                    assert_eq!(bitmaps.clear(2, place), twin.is_empty());
                } else {
                    twin.insert(place);
                    bitmaps.set(2, place);
                }
                assert_eq!(
                    bitmaps.ones(2).take(9).collect::<Vec<_>>(),
                    twin.iter().copied().take(9).collect::<Vec<_>>()
                );
            }
            assert!(bitmaps.ones(2).eq(twin.iter().copied()));
            assert_eq!(bitmaps.ones(0).count() + bitmaps.ones(1).count(), 0);
        }
    }

    #[test]
    fn a_summary_over_nothing_is_taken_away() {
        let bitmaps = Bitmaps::new(300_000, [300_000].into_iter());
        bitmaps.set(0, 5);
        bitmaps.set(0, 200_000);
        // As if the clearing of the summaries had been lost.
        set(&bitmaps.words[0], 0);
        assert!(bitmaps.ones(0).eq([200_000]));
        assert_eq!(bitmaps.lowest_word(0), (200_000 / 64, 1 << (200_000 % 64)));
    }
}
