//! The truth: a tree of words in which every free granule lies under exactly one token.
//!
//! ```text
//!   level 2   [..1.....]            one bit a unit of 64^2 granules: a token, the unit is free as a whole
//!   level 1   [0000][1101][....]    one bit a unit of 64 granules: 64 of them are one unit of level 2
//!   level 0   [0][0]..[1011]..      one bit a granule: 64 of them are one unit of level 1
//! ```
//! Level `l` has a bit for every unit of 64^l granules that fits into the arena; granules after the last whole unit have
//! their tokens further down, so that any size has an exact tail. The top level is the last one with 64 units, so that
//! what one operation can hide (see [`verdict`](super::verdict)) is a small part of the arena.
//!
//! A granule is taken when no token covers it. No word says so: "taken as a whole unit" and "its group was opened and all
//! its units were taken" are the same bits. So a block is a run of granules and nothing else; nobody remembers an order.
//!
//! Beside each level above the granules stands a *below* word for each token word: a bit at 1 means "there may be tokens
//! under this unit". It is set after the token, never says no wrongly for longer than a section, and lets a search skip
//! what is taken (I3).

use alloc::boxed::Box;

use arrayvec::ArrayVec;

use super::geometry::Run;
use super::word::{RADIX, RADIX_LOG2, bit_of, ones_down, ones_up, word_of};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::zeroed_words;

/// Enough for 2^40 granules, and for a model's tiny arenas.
const MOST_LEVELS: usize = 7;

/// All words of one arena.
pub(super) struct Tree {
    pub(super) levels: ArrayVec<Level, MOST_LEVELS>,
    granules: u64,
}

/// The words of one level.
pub(super) struct Level {
    /// log2 of the granules in a unit.
    pub(super) shift: u32,
    /// A bit a unit: it is free as a whole.
    pub(super) tokens: Box<[AtomicU64]>,
    /// A bit a unit, the last, incomplete one included: there may be tokens under it. Empty at level 0.
    pub(super) below: Box<[AtomicU64]>,
}

/// Some units in one word of one level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) level: usize,
    pub(super) unit: u64,
    pub(super) count: u64,
}

impl Tree {
    /// A tree of `granules` granules, all taken.
    pub(super) fn new(granules: u64) -> Tree {
        let mut levels = ArrayVec::new();
        let mut places = granules;
        for level in 0.. {
            let shift = level * RADIX_LOG2;
            let words = word_of(places - 1) + 1;
            let below = if level == 0 { 0 } else { words };
            levels.push(Level { shift, tokens: zeroed_words(words), below: zeroed_words(below) });
            if granules >> (shift + RADIX_LOG2) < RADIX {
                break;
            }
            places = words as u64;
        }
        Tree { levels, granules }
    }

    pub(super) fn granules(&self) -> u64 {
        self.granules
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        self.levels.iter().map(|level| size_of_val(&*level.tokens) + size_of_val(&*level.below)).sum()
    }

    pub(super) fn top(&self) -> usize {
        self.levels.len() - 1
    }

    /// The highest level at which a whole unit starts at `at` and ends by `end`.
    pub(super) fn level_at(&self, at: u64, end: u64) -> usize {
        let shift = at.trailing_zeros().min((end - at).ilog2());
        ((shift / RADIX_LOG2) as usize).min(self.top())
    }

    /// The first piece of `at..end` in as large units as there are.
    pub(super) fn first_piece(&self, at: u64, end: u64) -> Piece {
        let level = self.level_at(at, end);
        let shift = self.levels[level].shift;
        let unit = at >> shift;
        let room = RADIX - u64::from(bit_of(unit));
        Piece { level, unit, count: room.min((end - at) >> shift) }
    }

    /// The pieces of `run` in ascending order, in as large units as there are.
    pub(super) fn pieces(&self, run: Run) -> impl Iterator<Item = Piece> {
        let mut at = run.start;
        core::iter::from_fn(move || {
            let piece = (at < run.end).then(|| self.first_piece(at, run.end))?;
            at = self.run(piece).end;
            Some(piece)
        })
    }

    /// The granules of a piece.
    pub(super) fn run(&self, piece: Piece) -> Run {
        let shift = self.levels[piece.level].shift;
        Run { start: piece.unit << shift, end: (piece.unit + piece.count) << shift }
    }

    /// The free run around granule `at`, as far as one word shows it; `None` where the granule is taken.
    /// At most one load a level.
    pub(super) fn free_around(&self, at: u64) -> Option<Run> {
        (0..self.levels.len()).find_map(|level| {
            let Level { shift, tokens, .. } = &self.levels[level];
            let unit = at >> shift;
            // Acquire: pairs with the release of claims and puts (E1); what is seen taken was taken in a section seen odd.
            let word = tokens[word_of(unit)].load(Ordering::Acquire);
            let (up, down) = (ones_up(word, bit_of(unit)), ones_down(word, bit_of(unit)));
            (up > 0).then(|| Run { start: (unit + 1 - down) << shift, end: (unit + up) << shift })
        })
    }

    /// The end of the free run that `at` lies in, looked at no further than `limit`; `at` where it is taken.
    /// Every turn goes on to the next word.
    pub(super) fn free_until(&self, mut at: u64, limit: u64) -> u64 {
        while at < limit {
            match self.free_around(at) {
                Some(run) => at = run.end,
                None => break,
            }
        }
        at
    }

    /// The start of the free run that ends at `end`, looked at no further than `limit`; `end` where nothing is free.
    pub(super) fn free_since(&self, mut end: u64, limit: u64) -> u64 {
        while end > limit {
            match self.free_around(end - 1) {
                Some(run) => end = run.start,
                None => break,
            }
        }
        end
    }
}

impl core::fmt::Debug for Tree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tree").field("granules", &self.granules).field("levels", &self.levels.len()).finish()
    }
}
