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

use super::class::{class_of, region_log2};
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
    classes: Box<[Class]>,
    words: Box<[AtomicU64]>,
}

/// Where one class's bitmap lies.
struct Class {
    region_log2: u32,
    /// The first word of each level, regions first, and where the last level, one word, ends.
    edges: ArrayVec<usize, MOST_EDGES>,
}

impl Hints {
    /// For an arena of `granules` granules: no holes known.
    pub(super) fn new(granules: u64) -> Hints {
        let mut count = 0;
        let classes = (0..=class_of(granules)).map(|class| Class::new(class, granules, &mut count)).collect();
        Hints { non_empty: [const { AtomicU64::new(0) }; CLASS_WORDS], classes, words: words(count) }
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.classes) + size_of_val(&*self.words)
    }

    /// A hole may be here from now on. One load a level, a store where something changes.
    pub(super) fn add(&self, hole: Run) {
        if hole.start >= hole.end {
            return;
        }
        let class = class_of(hole.granules());
        let mut at = hole.start >> self.classes[class].region_log2;
        for &level in self.classes[class].levels() {
            let (word, bit) = (&self.words[level + (at >> WORD_LOG2) as usize], 1 << (at % 64));
            let seen = get(word);
            if seen & bit == 0 {
                set(word, seen | bit);
            }
            at >>= WORD_LOG2;
        }
        let (word, bit) = self.class_bit(class);
        if get(word) & bit == 0 {
            set(word, get(word) | bit);
        }
    }

    /// No hole of `class` starts in `region`. Goes up as far as words become empty.
    pub(super) fn clear(&self, class: usize, region: u64) {
        let mut at = region;
        for &level in self.classes[class].levels() {
            let word = &self.words[level + (at >> WORD_LOG2) as usize];
            let left = get(word) & !(1 << (at % 64));
            set(word, left);
            if left != 0 {
                return;
            }
            at >>= WORD_LOG2;
        }
        let (word, bit) = self.class_bit(class);
        set(word, get(word) & !bit);
    }

    /// The first class at or after `class` that may have holes.
    pub(super) fn class_from(&self, class: usize) -> Option<usize> {
        let first = class / 64;
        (first..CLASS_WORDS).find_map(|index| {
            let skipped = if index == first { class as u32 % 64 } else { 0 };
            let rest = get(&self.non_empty[index]) >> skipped;
            (rest != 0).then(|| index * 64 + (skipped + rest.trailing_zeros()) as usize)
        })
    }

    /// The classes that may have holes, longest first.
    pub(super) fn classes_down(&self) -> impl Iterator<Item = usize> {
        (0..self.classes.len()).rev().filter(|&class| {
            let (word, bit) = self.class_bit(class);
            get(word) & bit != 0
        })
    }

    /// The first region of `class`, at or after `from`, in which a hole may start. Each word is visited once at most;
    /// a summary bit over nothing is taken away.
    pub(super) fn region_from(&self, class: usize, from: u64) -> Option<u64> {
        let class_map = &self.classes[class];
        let (mut level, mut at) = (0, from);
        while level < class_map.levels().len() {
            let rest = self.word(class_map, level, at) >> (at % 64);
            if rest == 0 {
                level += 1;
                at = (at >> WORD_LOG2) + 1;
                continue;
            }
            at += u64::from(rest.trailing_zeros());
            if level == 0 {
                return Some(at);
            }
            level -= 1;
            at <<= WORD_LOG2;
            if self.word(class_map, level, at) == 0 {
                self.clear(class, at << (WORD_LOG2 * level as u32));
            }
        }
        None
    }

    /// The granules of a region.
    pub(super) fn region(&self, class: usize, region: u64) -> Run {
        let shift = self.classes[class].region_log2;
        Run { start: region << shift, end: (region + 1) << shift }
    }

    /// The region of `class` that granule `at` lies in, with its granules.
    pub(super) fn region_of(&self, class: usize, at: u64) -> (u64, Run) {
        let region = at >> self.classes[class].region_log2;
        (region, self.region(class, region))
    }

    /// What the word of `level` that has the bit of `at` says; nothing past the level's end.
    fn word(&self, class: &Class, level: usize, at: u64) -> u64 {
        let index = class.edges[level] + (at >> WORD_LOG2) as usize;
        if index < class.edges[level + 1] { get(&self.words[index]) } else { 0 }
    }

    fn class_bit(&self, class: usize) -> (&AtomicU64, u64) {
        (&self.non_empty[class / 64], 1 << (class % 64))
    }
}

impl Class {
    /// Lays the bitmap out from word `count` on.
    fn new(class: usize, granules: u64, count: &mut usize) -> Class {
        let region_log2 = region_log2(class);
        let (mut edges, mut bits) = (ArrayVec::new(), ((granules - 1) >> region_log2) + 1);
        edges.push(*count);
        loop {
            bits = bits.div_ceil(64);
            *count += bits as usize;
            edges.push(*count);
            if bits == 1 {
                return Class { region_log2, edges };
            }
        }
    }

    fn levels(&self) -> &[usize] {
        &self.edges[..self.edges.len() - 1]
    }
}

impl core::fmt::Debug for Hints {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hints").field("classes", &self.classes.len()).field("words", &self.words.len()).finish()
    }
}
