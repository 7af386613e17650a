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

use super::geometry::Run;
use super::word::{RADIX, RADIX_LOG2, bit_of, ones_down, ones_up, word_of};
use crate::sync::atomic::{AtomicU64, Ordering};
use crate::sync::zeroed_words;

/// Enough for 2^40 granules, and for a model's tiny arenas.
const MOST_LEVELS: usize = 7;

/// The most pieces of a run, in as large units as there are: two a level below the top and 64 at it. A claim has as many where every
/// group that could be closed is closed, and a unit sticking out at either end.
pub(super) const MOST_PIECES: usize = 96;

/// All words of one arena, level after level, the granules' first.
pub(super) struct Tree {
    /// A bit a unit: it is free as a whole.
    tokens: Box<[AtomicU64]>,
    /// A bit a unit, the last, incomplete one included: there may be tokens under it. None for the granules.
    below: Box<[AtomicU64]>,
    /// Where each level's words begin among the tokens, and where the last level's end.
    firsts: [usize; MOST_LEVELS + 1],
    top: usize,
    granules: u64,
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
        let (mut firsts, mut words, mut places, mut top) = ([0; MOST_LEVELS + 1], 0, granules, 0);
        loop {
            places = word_of(places - 1) as u64 + 1;
            words += places as usize;
            firsts[top + 1] = words;
            if granules >> shift(top + 1) < RADIX {
                break;
            }
            top += 1;
        }
        Tree { tokens: zeroed_words(words), below: zeroed_words(words - firsts[1]), firsts, top, granules }
    }

    pub(super) fn granules(&self) -> u64 {
        self.granules
    }

    /// What its words occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.tokens) + size_of_val(&*self.below)
    }

    pub(super) fn top(&self) -> usize {
        self.top
    }

    /// The token word of granule `at`.
    #[inline]
    pub(super) fn group(&self, at: u64) -> &AtomicU64 {
        &self.tokens[word_of(at)]
    }

    /// The token word of a unit.
    #[inline]
    pub(super) fn tokens(&self, level: usize, unit: u64) -> &AtomicU64 {
        &self.tokens[self.firsts[level] + word_of(unit)]
    }

    /// The below word of a unit of a level above the granules.
    #[inline]
    pub(super) fn below(&self, level: usize, unit: u64) -> &AtomicU64 {
        &self.below[self.firsts[level] - self.firsts[1] + word_of(unit)]
    }

    /// The token words of one level.
    pub(super) fn words(&self, level: usize) -> &[AtomicU64] {
        &self.tokens[self.firsts[level]..self.firsts[level + 1]]
    }

    /// The piece that `run` is, if in the largest units that it consists of it lies in one word.
    #[inline]
    pub(super) fn one_piece(&self, run: Run) -> Option<Piece> {
        let level = self.level_of((run.start | run.end).trailing_zeros());
        let (start, end) = (run.start >> shift(level), run.end >> shift(level));
        (word_of(start) == word_of(end - 1)).then_some(Piece { level, unit: start, count: end - start })
    }

    /// The highest level at which a whole unit starts at `at` and ends by `end`.
    pub(super) fn level_at(&self, at: u64, end: u64) -> usize {
        self.level_of(at.trailing_zeros().min((end - at).ilog2()))
    }

    /// The highest level whose units have at most 2^`log2` granules.
    #[inline]
    fn level_of(&self, log2: u32) -> usize {
        ((log2 / RADIX_LOG2) as usize).min(self.top)
    }

    /// The first piece of `at..end` in as large units as there are.
    #[inline]
    pub(super) fn first_piece(&self, at: u64, end: u64) -> Piece {
        let level = self.level_at(at, end);
        let shift = shift(level);
        let unit = at >> shift;
        let room = RADIX - u64::from(bit_of(unit));
        Piece { level, unit, count: room.min((end - at) >> shift) }
    }

    /// The pieces of `run` in ascending order, in as large units as there are.
    pub(super) fn pieces(&self, run: Run) -> impl Iterator<Item = Piece> {
        let mut at = run.start;
        core::iter::from_fn(move || {
            let piece = (at < run.end).then(|| self.first_piece(at, run.end))?;
            at = Tree::run(piece).end;
            Some(piece)
        })
    }

    /// The granules of a piece.
    #[inline]
    pub(super) fn run(piece: Piece) -> Run {
        let shift = shift(piece.level);
        Run { start: piece.unit << shift, end: (piece.unit + piece.count) << shift }
    }

    /// The end of the free run that `at` lies in, looked at no further than `limit`; `at` where it is taken.
    /// Every turn goes on to the next word.
    #[inline]
    pub(super) fn free_until(&self, mut at: u64, limit: u64) -> u64 {
        while at < limit {
            // Relaxed: only hints and pictures ask where a run ends; no verdict does.
            let word = self.group(at).load(Ordering::Relaxed);
            let up = ones_up(word, bit_of(at));
            if up > 0 {
                at += up;
                if bit_of(at) != 0 {
                    break;
                }
                continue;
            }
            // A group that has tokens is open: no unit that it lies in is free as a whole.
            let above = if word == 0 { self.free_above(at) } else { Run::EMPTY };
            if above.is_empty() {
                break;
            }
            at = above.end;
        }
        at
    }

    /// The start of the free run that ends at `end`, looked at no further than `limit`; `end` where nothing is free.
    #[inline]
    pub(super) fn free_since(&self, mut end: u64, limit: u64) -> u64 {
        while end > limit {
            // Acquire E2: pairs with the release of claims and puts; what is seen taken was taken in a section seen odd.
            let word = self.group(end - 1).load(Ordering::Acquire);
            let down = ones_down(word, bit_of(end - 1));
            if down > 0 {
                end -= down;
                if bit_of(end) != 0 {
                    break;
                }
                continue;
            }
            let above = if word == 0 { self.free_above(end - 1) } else { Run::EMPTY };
            if above.is_empty() {
                break;
            }
            end = above.start;
        }
        end
    }

    /// The run of free units around the granule `at`, whose group has no token, as far as one word shows it; empty where there
    /// is none. From the group up, one load a level; the first word with a token decides.
    fn free_above(&self, at: u64) -> Run {
        let (mut level, mut shift) = (1, RADIX_LOG2);
        while level <= self.top {
            let unit = at >> shift;
            // Acquire E2: as in `free_since`.
            let word = self.tokens(level, unit).load(Ordering::Acquire);
            if word != 0 {
                let (up, down) = (ones_up(word, bit_of(unit)), ones_down(word, bit_of(unit)));
                return if up == 0 {
                    Run::EMPTY
                } else {
                    Run { start: (unit + 1 - down) << shift, end: (unit + up) << shift }
                };
            }
            (level, shift) = (level + 1, shift + RADIX_LOG2);
        }
        Run::EMPTY
    }
}

/// log2 of the granules in a unit of `level`.
#[inline]
pub(super) const fn shift(level: usize) -> u32 {
    level as u32 * RADIX_LOG2
}

impl core::fmt::Debug for Tree {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Tree").field("granules", &self.granules).field("levels", &(self.top() + 1)).finish()
    }
}
