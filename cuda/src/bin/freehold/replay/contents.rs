//! What the bytes must be: every tensor's contents follow from its id, so any wrong byte can be told by reading it.
//!
//! A weight is whole; a block is stamped where a checker looks. Both look in the same places: everything in a small
//! tensor; in a larger one both ends and a piece at every step between them, the steps beginning elsewhere at each look.
//! In ordinary memory a look costs nothing, so a block that lies over another by 512 bytes or more always shows, a
//! smaller one almost always. What must be copied out to be seen is seen in fewer, longer pieces.

use std::iter;
use std::ops::Range;

/// How a checker gets to see memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Where it lies: each word costs a load.
    InPlace,
    /// By a copy out of a device: each piece costs a call.
    Copied,
}

/// Where a checker looks, in bytes.
#[derive(Clone, Copy, Debug)]
struct Places {
    /// Tensors up to this size are seen whole.
    whole: u64,
    /// How much of each end of a larger one is.
    end: u64,
    /// How long a piece between the ends is, and how far the next begins after it.
    piece: u64,
    stride: u64,
}

const BLOCK_IN_PLACE: Places = Places { whole: 64 << 10, end: 4 << 10, piece: WORD, stride: 512 };
/// The stride is the least one: no weight is looked at in more than 4096 places.
const WEIGHT_IN_PLACE: Places = Places { stride: 4 << 10, ..BLOCK_IN_PLACE };
/// The stride is the least one: nothing is looked at in more than 16 places.
const COPIED: Places = Places { whole: 256 << 10, end: 16 << 10, piece: 4 << 10, stride: 64 << 10 };

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
pub(crate) fn block_spans(id: u32, bytes: u64, sight: Sight) -> impl Iterator<Item = Range<u64>> {
    let places = match sight {
        Sight::InPlace => BLOCK_IN_PLACE,
        Sight::Copied => COPIED.at_most(16, bytes),
    };
    places.spans(bytes, u64::from(id))
}

/// The places of a weight that its `n`th check looks at.
pub(crate) fn weight_spans(n: u64, bytes: u64, sight: Sight) -> impl Iterator<Item = Range<u64>> {
    let places = match sight {
        Sight::InPlace => WEIGHT_IN_PLACE.at_most(4096, bytes),
        Sight::Copied => COPIED.at_most(16, bytes),
    };
    places.spans(bytes, n)
}

impl Places {
    /// The same with fewer pieces, where a tensor is so large that there would be more.
    fn at_most(self, pieces: u64, bytes: u64) -> Places {
        Places { stride: self.stride.max(bytes / pieces).next_multiple_of(WORD), ..self }
    }

    /// Byte ranges in ascending order, each beginning with a word.
    fn spans(self, bytes: u64, phase: u64) -> impl Iterator<Item = Range<u64>> {
        let is_small = bytes <= self.whole;
        let head = if is_small { bytes } else { self.end };
        let tail = if is_small { bytes } else { (bytes - self.end) / WORD * WORD };
        let shift = phase.wrapping_mul(MIX) % (self.stride / WORD) * WORD;
        let starts = (head + shift..tail).step_by(self.stride as usize);
        let pieces = starts.map(move |start| start..(start + self.piece).min(tail));
        iter::once(0..head).chain(pieces).chain(iter::once(tail..bytes)).filter(|span| !span.is_empty())
    }
}
