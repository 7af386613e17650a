//! What goes into the buddy and what comes out: a request, and the block that answers it.

use core::num::NonZero;

use crate::units::{Bytes, Offset};

/// How many bytes are wanted, and at multiples of how many they must start.
///
/// ```
/// use freehold_core::{Bytes, buddy::Request};
/// let request = Request::new(Bytes(3_000)).aligned(Bytes(2_048));
/// assert_eq!((request.bytes, request.align), (Bytes(3_000), Bytes(2_048)));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// The bytes wanted. Zero is refused here: a manager gives empty buffers without asking an arena.
    pub bytes: Bytes,
    /// The offset will be a multiple of this. Anything up to the granule that divides it costs nothing.
    pub align: Bytes,
}

impl Request {
    /// `bytes` bytes at granule alignment.
    #[must_use]
    pub const fn new(bytes: Bytes) -> Request {
        Request { bytes, align: Bytes(1) }
    }

    /// The same request at multiples of `align`.
    #[must_use]
    pub const fn aligned(self, align: Bytes) -> Request {
        Request { align, ..self }
    }
}

/// A range of an arena, owned. Having a `Block` tells you three things: its granules are taken, nobody else has a block
/// that touches them, and they stay so until this block is freed.
///
/// It is not a pointer, and it frees nothing when dropped: it does not know its arena. Give it back with
/// [`Buddy::free`](super::Buddy::free).
#[must_use = "a block that is dropped instead of freed leaves its granules taken for good"]
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    offset: Offset,
    // Never zero, so that an `Option` of a block is two words too, and comes back in registers.
    bytes: NonZero<u64>,
}

impl Block {
    /// None where `bytes` is zero: there is no such block.
    #[inline]
    pub(super) const fn new(offset: Offset, bytes: Bytes) -> Option<Block> {
        match NonZero::new(bytes.0) {
            Some(bytes) => Some(Block { offset, bytes }),
            None => None,
        }
    }

    /// The block that the caller took apart with [`offset`](Block::offset) and [`bytes`](Block::bytes) and kept elsewhere,
    /// whole again. The caller answers for there being one block only; the buddy refuses to free granules that are free.
    ///
    /// # Panics
    /// Where `bytes` is zero: there is no such block.
    #[inline]
    pub const fn from_parts(offset: Offset, bytes: Bytes) -> Block {
        Block::new(offset, bytes).expect("a block has bytes")
    }

    /// Where it starts in its arena.
    #[must_use]
    pub const fn offset(&self) -> Offset {
        self.offset
    }

    /// The bytes that were asked for. What they take from the arena is [`Geometry::reserved`](super::Geometry::reserved).
    #[must_use]
    pub const fn bytes(&self) -> Bytes {
        Bytes(self.bytes.get())
    }
}
