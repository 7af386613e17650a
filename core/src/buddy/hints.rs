//! Where holes may be: for every size class a bitmap of the regions in which a hole of that class may start.
//!
//! ```text
//!   non-empty   [..1..1.]              one bit a class
//!   class 31    [....][1..1][....]     one bit a region: "a hole of this class may start here"
//! ```
//! These are hints and never the truth: two threads that change one word of the [`bitmaps`](super::bitmaps) may lose one
//! of the changes. A bit that is set wrongly is found out by looking at the tree, and taken back; a hole whose bit was lost
//! is found by the complete [`search`](super::search), or when a neighbour is freed. Nothing but speed and placement
//! depends on it.
//!
//! Space: below the length of a group 31 classes have a bit for each 64 granules, and above it eight classes a doubling
//! have a bit for each 2^k: 0.75 bits a granule with all summaries.

use alloc::boxed::Box;

use super::bitmaps::{Bitmaps, raise};
use super::class::{Class, class_of};
use super::geometry::Run;
use super::word::{RADIX_LOG2, word_of};
use crate::sync::hint::{AtomicU64, get, set};

/// Enough words for the classes of 2^40 granules.
const CLASS_WORDS: usize = 5;

/// The hints of one arena.
pub(super) struct Hints {
    /// A bit a class: it has regions.
    non_empty: [AtomicU64; CLASS_WORDS],
    classes: Box<[Class]>,
    /// A row a class, a place a region.
    regions: Bitmaps,
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
        let classes: Box<[Class]> = (0..=class_of(granules)).map(Class::new).collect();
        let regions = classes.iter().map(|class| ((granules - 1) >> class.region_log2) + 1);
        let regions = Bitmaps::new(word_of(granules - 1) as u64 + 1, regions);
        Hints { non_empty: [const { AtomicU64::new(0) }; CLASS_WORDS], classes, regions }
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.classes) + self.regions.bytes()
    }

    /// The region that a hole, not an empty one, has its bit in.
    #[inline]
    pub(super) fn region_of(&self, hole: Run) -> Region {
        let granules = hole.granules();
        Region { class: class_of(granules), index: hole.start >> granules.ilog2().max(RADIX_LOG2) }
    }

    /// A hole may be here from now on.
    pub(super) fn add(&self, hole: Run) {
        if !hole.is_empty() {
            self.set(self.region_of(hole));
        }
    }

    /// A hole may start in this region from now on.
    #[inline]
    pub(super) fn set(&self, region: Region) {
        self.regions.set(region.class, region.index);
        let (word, bit) = self.class_bit(region.class);
        raise(word, bit);
    }

    /// No hole starts in this region.
    #[inline]
    pub(super) fn clear(&self, region: Region) {
        if self.regions.clear(region.class, region.index) {
            let (word, bit) = self.class_bit(region.class);
            set(word, get(word) & !bit);
        }
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
        (0..self.classes.len()).rev().filter(|&class| {
            let (word, bit) = self.class_bit(class);
            get(word) & bit != 0
        })
    }

    /// The regions of `class` in which a hole may start, lowest first.
    #[inline]
    pub(super) fn regions(&self, class: usize) -> impl Iterator<Item = Region> {
        self.regions.ones(class).map(move |index| Region { class, index })
    }

    /// The granules of a region.
    #[inline]
    pub(super) fn span(&self, region: Region) -> Run {
        let shift = self.class(region.class).region_log2;
        Run { start: region.index << shift, end: (region.index + 1) << shift }
    }

    /// What holes there are in a class.
    #[inline]
    pub(super) fn class(&self, class: usize) -> &Class {
        &self.classes[class]
    }

    fn class_bit(&self, class: usize) -> (&AtomicU64, u64) {
        (&self.non_empty[class / 64], 1 << (class % 64))
    }
}

impl core::fmt::Debug for Hints {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Hints").field("classes", &self.classes.len()).field("bytes", &self.bytes()).finish()
    }
}
