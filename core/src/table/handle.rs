//! The handle key: the name of an entry, which may be stale and is never dangling.

use core::fmt;
use core::num::NonZeroU32;

/// The name of an entry: the index of its slot, and which of the slot's entries it is.
///
/// Having a key tells you nothing about the entry; asking the table does, at any time: a key whose entry has been retired
/// names nothing ever after, because no generation is given out twice. It is not a pointer and frees nothing.
///
/// Its bits are never zero, so that a foreign host may use zero for "none".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HandleKey {
    index: u32,
    generation: NonZeroU32,
}

impl HandleKey {
    /// The first key of a slot.
    pub(super) const fn first(index: u32) -> HandleKey {
        HandleKey { index, generation: NonZeroU32::MIN }
    }

    /// The next key of the same slot, or `None` when there is none left: the slot is then never used again.
    pub(super) fn next(self) -> Option<HandleKey> {
        Some(HandleKey { index: self.index, generation: self.generation.checked_add(1)? })
    }

    /// The slot.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Which of the slot's entries, counted from 1.
    #[must_use]
    pub const fn generation(self) -> u32 {
        self.generation.get()
    }

    /// The key as one number, never zero: generation above, index below.
    #[must_use]
    pub const fn to_bits(self) -> u64 {
        (self.generation() as u64) << 32 | self.index as u64
    }

    /// The key that [`to_bits`](Self::to_bits) gave; `None` for numbers it never gives.
    #[must_use]
    pub const fn from_bits(bits: u64) -> Option<HandleKey> {
        match NonZeroU32::new((bits >> 32) as u32) {
            Some(generation) => Some(HandleKey { index: bits as u32, generation }),
            None => None,
        }
    }
}

impl fmt::Display for HandleKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}.{}", self.index, self.generation)
    }
}
