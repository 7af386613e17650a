//! Where holes may be: for every size class a bitmap of the regions in which a hole of that class may start.
//!
//! ```text
//!   non-empty   [..1..1.]                        one bit a class
//!   class 31    [.......1]                       64-ary summaries up to one word
//!               [....][1..1][....]               one bit a region: "a hole of this class may start here"
//! ```
//! These are hints and never the truth: they are read and written relaxed, without read-modify-write, so that a change
//! costs a load and a store, and two threads that change one word may lose one of the changes. A bit that is set wrongly
//! is found out by looking at the tree, and taken back; a hole whose bit was lost is found by the complete
//! [`search`](super::search), or when a neighbour is freed. Nothing but speed and placement depends on it.
//!
//! Space: below the length of a group 19 classes have a bit for each 64 granules, and above it four classes a doubling
//! have a bit for each 2^k: 0.43 bits a granule in all.

use alloc::boxed::Box;

use arrayvec::ArrayVec;

use super::class::{Class, class_of};
use super::geometry::Run;
use crate::sync::hint::{AtomicU64, get, set, words};

/// A word of these bitmaps has 64 bits, also where the tree's groups are smaller.
const WORD_LOG2: u32 = 6;
/// Enough for the levels of 2^40 granules in regions of one group, and an end.
const MOST_EDGES: usize = 8;
/// Enough words for the classes of 2^40 granules.
const CLASS_WORDS: usize = 3;

/// The hints of one arena.
pub(super) struct Hints {
    /// A bit a class: it has regions.
    non_empty: [AtomicU64; CLASS_WORDS],
    maps: Box<[Map]>,
    words: Box<[AtomicU64]>,
}

/// The bitmap of one class.
struct Map {
    class: Class,
    /// The first word of each level, regions first, and where the last level, one word, ends.
    edges: ArrayVec<usize, MOST_EDGES>,
}

/// A region of a class: where the bit of a hole is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) class: usize,
    pub(super) index: u64,
}

impl Hints {
    /// For an arena of `granules` granules: no holes known.
    pub(super) fn new(granules: u64) -> Hints {
        let mut count = 0;
        let maps = (0..=class_of(granules)).map(|class| Map::new(class, granules, &mut count)).collect();
        Hints { non_empty: [const { AtomicU64::new(0) }; CLASS_WORDS], maps, words: words(count) }
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.maps) + size_of_val(&*self.words)
    }

    /// The region that a hole, not an empty one, has its bit in.
    #[inline]
    pub(super) fn region_of(&self, hole: Run) -> Region {
        let class = class_of(hole.granules());
        Region { class, index: hole.start >> self.maps[class].class.region_log2 }
    }

    /// A hole may be here from now on.
    pub(super) fn add(&self, hole: Run) {
        if !hole.is_empty() {
            self.set(self.region_of(hole));
        }
    }

    /// A hole may start in this region from now on. One load a level, a store where something changes.
    #[inline]
    pub(super) fn set(&self, region: Region) {
        let mut at = region.index;
        for &level in self.maps[region.class].levels() {
            raise(&self.words[level + (at >> WORD_LOG2) as usize], 1 << (at % 64));
            at >>= WORD_LOG2;
        }
        let (word, bit) = self.class_bit(region.class);
        raise(word, bit);
    }

    /// No hole starts in this region. Goes up as far as words become empty.
    #[inline]
    pub(super) fn clear(&self, region: Region) {
        let mut at = region.index;
        for &level in self.maps[region.class].levels() {
            let word = &self.words[level + (at >> WORD_LOG2) as usize];
            let left = get(word) & !(1 << (at % 64));
            set(word, left);
            if left != 0 {
                return;
            }
            at >>= WORD_LOG2;
        }
        let (word, bit) = self.class_bit(region.class);
        set(word, get(word) & !bit);
    }

    /// The first class at or after `class` that may have holes.
    #[inline]
    pub(super) fn class_from(&self, class: usize) -> Option<usize> {
        let (mut index, mut skipped) = (class / 64, class % 64);
        while index < CLASS_WORDS {
            let rest = get(&self.non_empty[index]) >> skipped << skipped;
            if rest != 0 {
                return Some(index * 64 + rest.trailing_zeros() as usize);
            }
            (index, skipped) = (index + 1, 0);
        }
        None
    }

    /// The classes that may have holes, longest first.
    pub(super) fn classes_down(&self) -> impl Iterator<Item = usize> {
        (0..self.maps.len()).rev().filter(|&class| {
            let (word, bit) = self.class_bit(class);
            get(word) & bit != 0
        })
    }

    /// The regions of `class` in which a hole may start, lowest first.
    #[inline]
    pub(super) fn regions(&self, class: usize) -> Regions<'_> {
        Regions { hints: self, class, next_word: 0, word: 0, rest: 0 }
    }

    /// The first word of regions at or after the `from`th that has some, and what it says; 0 where none has. Each word is visited once at
    /// most; a summary bit over nothing is taken away.
    fn word_from(&self, class: usize, from: u64) -> (u64, u64) {
        let map = &self.maps[class];
        let depth = map.levels().len();
        // From the start on, the one word at the top says where: nothing is gained by going up to it.
        let (mut level, mut at) = if from == 0 { (depth - 1, 0) } else { (1, from) };
        while level > 0 && level < depth {
            let rest = self.word(map, level, at) >> (at % 64);
            if rest == 0 {
                level += 1;
                at = (at >> WORD_LOG2) + 1;
                continue;
            }
            at += u64::from(rest.trailing_zeros());
            level -= 1;
            if level > 0 {
                at <<= WORD_LOG2;
                continue;
            }
            match self.word(map, 0, at << WORD_LOG2) {
                0 => {
                    self.clear(Region { class, index: at << WORD_LOG2 });
                    (level, at) = (1, at + 1);
                }
                word => return (at, word),
            }
        }
        (0, if depth == 1 && from == 0 { self.word(map, 0, 0) } else { 0 })
    }

    /// The granules of a region.
    #[inline]
    pub(super) fn span(&self, region: Region) -> Run {
        let shift = self.maps[region.class].class.region_log2;
        Run { start: region.index << shift, end: (region.index + 1) << shift }
    }

    /// What holes there are in a class.
    #[inline]
    pub(super) fn class(&self, class: usize) -> &Class {
        &self.maps[class].class
    }

    /// What the word of `level` that has the bit of `at` says; nothing past the level's end.
    fn word(&self, map: &Map, level: usize, at: u64) -> u64 {
        let index = map.edges[level] + (at >> WORD_LOG2) as usize;
        if index < map.edges[level + 1] { get(&self.words[index]) } else { 0 }
    }

    fn class_bit(&self, class: usize) -> (&AtomicU64, u64) {
        (&self.non_empty[class / 64], 1 << (class % 64))
    }
}

impl Map {
    /// Lays the bitmap out from word `count` on.
    fn new(class: usize, granules: u64, count: &mut usize) -> Map {
        let class = Class::new(class);
        let (mut edges, mut bits) = (ArrayVec::new(), ((granules - 1) >> class.region_log2) + 1);
        edges.push(*count);
        loop {
            bits = bits.div_ceil(64);
            *count += bits as usize;
            edges.push(*count);
            if bits == 1 {
                return Map { class, edges };
            }
        }
    }

    fn levels(&self) -> &[usize] {
        &self.edges[..self.edges.len() - 1]
    }
}

/// The regions of a class, lowest first: what one word says is kept while its bits are gone through.
pub(super) struct Regions<'a> {
    hints: &'a Hints,
    class: usize,
    next_word: u64,
    word: u64,
    rest: u64,
}

impl Iterator for Regions<'_> {
    type Item = Region;

    #[inline(always)]
    fn next(&mut self) -> Option<Region> {
        if self.rest == 0 {
            (self.word, self.rest) = self.hints.word_from(self.class, self.next_word);
            if self.rest == 0 {
                return None;
            }
            self.next_word = self.word + 1;
        }
        let index = (self.word << WORD_LOG2) + u64::from(self.rest.trailing_zeros());
        self.rest &= self.rest - 1;
        Some(Region { class: self.class, index })
    }
}

/// Sets a bit; nothing is written where it is set.
#[inline]
fn raise(word: &AtomicU64, bit: u64) {
    let seen = get(word);
    if seen & bit == 0 {
        set(word, seen | bit);
    }
}

impl core::fmt::Debug for Hints {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hints").field("classes", &self.maps.len()).field("words", &self.words.len()).finish()
    }
}
