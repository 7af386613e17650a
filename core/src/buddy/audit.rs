//! The audit: the books against the tree, invariant by invariant, while nothing runs.

use super::Buddy;
use super::error::AuditError;
use super::tree::{Piece, Tree, shift};
use super::word::{RADIX_LOG2, bit_of, ones, word_of};
use crate::sync::atomic::Ordering;
use crate::units::Bytes;

/// What a clean audit found.
///
/// | invariant | |
/// | --- | --- |
/// | I1 | every granule lies under one token (free) or none (taken), and no token outside the arena |
/// | I2 | free + allocated = arena: the tree and the counts agree |
/// | I3 | over every token stand the marks by which a complete search finds it |
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Bytes under tokens.
    pub free: Bytes,
    /// Bytes handed out.
    pub allocated: Bytes,
    /// Maximal runs of free granules.
    pub holes: u64,
    /// The longest of them.
    pub largest_hole: Bytes,
}

impl Buddy {
    /// Checks I1, I2 and I3 and gives the sums.
    ///
    /// It is exact while no other operation runs; otherwise it may report what is only under way. Every word is read once:
    /// O(granules / 64).
    ///
    /// # Errors
    /// [`AuditError`] names the first invariant that does not hold, with the place or the numbers.
    pub fn audit(&self) -> Result<Audit, AuditError> {
        let free = self.bytes_of(free_granules(self)?);
        let counted = self.free_bytes();
        if free != counted {
            return Err(AuditError::Unbalanced { free, counted });
        }
        let (mut holes, mut largest_hole) = (0, Bytes::ZERO);
        self.holes(|_, bytes| {
            holes += 1;
            largest_hole = largest_hole.max(bytes);
        });
        Ok(Audit { free, allocated: self.bytes_of(self.tree.granules()) - free, holes, largest_hole })
    }
}

/// The sum over all tokens, each checked.
fn free_granules(buddy: &Buddy) -> Result<u64, AuditError> {
    let mut free = 0;
    for level in 0..=buddy.tree.top() {
        for (index, word) in buddy.tree.words(level).iter().enumerate() {
            // Relaxed: nothing runs.
            let mut tokens = word.load(Ordering::Relaxed);
            while tokens != 0 {
                let unit = ((index as u64) << RADIX_LOG2) + u64::from(tokens.trailing_zeros());
                check_token(buddy, Piece { level, unit, count: 1 })?;
                free += 1 << shift(level);
                tokens &= tokens - 1;
            }
        }
    }
    Ok(free)
}

fn check_token(buddy: &Buddy, token: Piece) -> Result<(), AuditError> {
    let tree = &buddy.tree;
    let run = Tree::run(token);
    let offset = buddy.offset_of(run.start);
    if run.end > tree.granules() {
        return Err(AuditError::Outside { offset });
    }
    let mut unit = token.unit;
    for level in token.level + 1..=tree.top() {
        unit = word_of(unit) as u64;
        if has(tree, level, unit, Side::Tokens) {
            return Err(AuditError::FreeTwice { offset });
        }
        if !has(tree, level, unit, Side::Below) {
            return Err(AuditError::Unseen { offset });
        }
    }
    Ok(())
}

enum Side {
    Tokens,
    Below,
}

fn has(tree: &Tree, level: usize, unit: u64, side: Side) -> bool {
    let word = match side {
        Side::Tokens => tree.tokens(level, unit),
        Side::Below => tree.below(level, unit),
    };
    // Relaxed: nothing runs.
    word.load(Ordering::Relaxed) & ones(bit_of(unit), 1) != 0
}
