//! What the bytes must be: every tensor's contents follow from its id, so any wrong byte can be told by reading it.
//!
//! A weight is whole; a block is stamped where a checker looks. Both look in the same places: everything in a tensor
//! up to 64 KiB; in a larger one both ends and a word at every step between them, the steps beginning elsewhere at each
//! look. A block that lies over another by a stride or more therefore always shows, a smaller one almost always.

use std::iter;
use std::ops::Range;

/// Tensors up to this size are checked whole.
const WHOLE_BYTES: u64 = 64 << 10;
/// How much of each end of a larger one is.
const END_BYTES: u64 = 4 << 10;
/// The distance between two words checked inside a block: no larger block can slip in between.
const BLOCK_STRIDE_BYTES: u64 = 512;
/// The least distance between two words checked inside a weight, and the most words.
const WEIGHT_STRIDE_BYTES: u64 = 4 << 10;
const WEIGHT_WORDS: u64 = 4 << 10;

const WORD: u64 = 8;
/// Odd, with well spread bits (the golden ratio): multiplying by it is a bijection that mixes upwards.
const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

/// The contents of one tensor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Contents {
    seed: u64,
}

impl Contents {
    /// Of the tensor with this id.
    pub(crate) fn of(id: u32) -> Contents {
        let mut seed = (u64::from(id) + 1).wrapping_mul(MIX);
        seed = (seed ^ (seed >> 32)).wrapping_mul(MIX);
        Contents { seed: seed ^ (seed >> 29) }
    }

    /// The word at an index: one multiplication, for gigabytes are made of it.
    fn word(self, index: u64) -> [u8; 8] {
        let mixed = (self.seed ^ index).wrapping_mul(MIX);
        (mixed ^ (mixed >> 32)).to_le_bytes()
    }

    /// Writes the bytes that belong at `offset`, which begins a word.
    pub(crate) fn fill(self, offset: u64, target: &mut [u8]) {
        debug_assert_eq!(offset % WORD, 0, "spans begin with a word");
        let first = offset / WORD;
        let (words, tail) = target.as_chunks_mut::<8>();
        let after = first + words.len() as u64;
        for (word, index) in words.iter_mut().zip(first..) {
            *word = self.word(index);
        }
        let length = tail.len();
        tail.copy_from_slice(&self.word(after)[..length]);
    }

    /// Whether the bytes at `offset`, which begins a word, are the right ones.
    pub(crate) fn agree(self, offset: u64, bytes: &[u8]) -> bool {
        debug_assert_eq!(offset % WORD, 0, "spans begin with a word");
        let first = offset / WORD;
        let (words, tail) = bytes.as_chunks::<8>();
        let after = first + words.len() as u64;
        // No early end: wrong bytes are the rare case, and a loop without one runs at memory speed.
        let wrong = words
            .iter()
            .zip(first..)
            .fold(0, |wrong, (word, index)| wrong | (u64::from_le_bytes(*word) ^ u64::from_le_bytes(self.word(index))));
        wrong == 0 && *tail == self.word(after)[..tail.len()]
    }
}

/// The places of a block that are stamped, and checked when it is freed.
pub(crate) fn block_spans(id: u32, bytes: u64) -> impl Iterator<Item = Range<u64>> {
    spans(bytes, BLOCK_STRIDE_BYTES, u64::from(id))
}

/// The places of a weight that its `n`th check looks at.
pub(crate) fn weight_spans(n: u64, bytes: u64) -> impl Iterator<Item = Range<u64>> {
    let stride = (bytes / WEIGHT_WORDS).max(WEIGHT_STRIDE_BYTES).next_multiple_of(WORD);
    spans(bytes, stride, n)
}

/// Byte ranges in ascending order, each beginning with a word.
fn spans(bytes: u64, stride: u64, phase: u64) -> impl Iterator<Item = Range<u64>> {
    let whole = bytes <= WHOLE_BYTES;
    let head = if whole { bytes } else { END_BYTES };
    let tail = if whole { bytes } else { (bytes - END_BYTES) / WORD * WORD };
    let shift = phase.wrapping_mul(MIX) % (stride / WORD) * WORD;
    let inner = (head + shift..tail).step_by(stride as usize).map(|start| start..start + WORD);
    iter::once(0..head).chain(inner).chain(iter::once(tail..bytes)).filter(|span| !span.is_empty())
}
