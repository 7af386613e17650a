//! One event of a trace, compact, and the scale that shrinks its sizes.

use std::num::NonZeroU64;

use super::GRANULE_BYTES;

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Op {
    /// A tensor's storage begins.
    Alloc,
    /// A tensor's storage ends.
    Free,
    /// A decode buffer begins: admission first, then a block.
    Acquire,
    /// A decode buffer ends.
    Release,
    /// A weight becomes known to a plugin.
    Load,
    /// A weight is dropped by its last user.
    Unload,
    /// Another plugin starts to use a weight.
    Share,
    /// A kernel reads a weight now.
    Access,
    /// A plugin's job begins.
    Begin,
    /// A plugin's job ends.
    End,
}

impl Op {
    /// The op that a trace calls `word`.
    pub(super) fn parse(word: &[u8]) -> Option<Op> {
        Some(match word {
            b"alloc" => Op::Alloc,
            b"free" => Op::Free,
            b"acquire" => Op::Acquire,
            b"release" => Op::Release,
            b"load" => Op::Load,
            b"unload" => Op::Unload,
            b"share" => Op::Share,
            b"access" => Op::Access,
            b"begin" => Op::Begin,
            b"end" => Op::End,
            _ => return None,
        })
    }

    /// The word that a trace has for this op.
    pub(super) fn word(self) -> &'static str {
        match self {
            Op::Alloc => "alloc",
            Op::Free => "free",
            Op::Acquire => "acquire",
            Op::Release => "release",
            Op::Load => "load",
            Op::Unload => "unload",
            Op::Share => "share",
            Op::Access => "access",
            Op::Begin => "begin",
            Op::End => "end",
        }
    }
}

/// One line of a trace. What it names is an index into the vectors of its [`Trace`](super::Trace).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    /// What happens.
    pub(crate) op: Op,
    /// Which plugin or worker does it.
    pub(crate) thread: u16,
    /// The operator that made the storage, or the weight's name.
    pub(crate) tag: u32,
    /// What it happens to; meaningless for `Begin` and `End`.
    pub(crate) id: u32,
    /// The size, unscaled and unrounded.
    pub(crate) bytes: u64,
}

/// The number that every size, the granule and the alignment are divided by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scale(pub(crate) NonZeroU64);

impl Scale {
    /// A size, smaller by the scale: at least 1, where it was anything at all.
    pub(crate) fn size(self, bytes: u64) -> u64 {
        (bytes / self.0).max(u64::from(bytes != 0))
    }

    /// The granule, and the alignment.
    pub(crate) fn granule(self) -> u64 {
        (GRANULE_BYTES / self.0).max(1)
    }

    /// What a size takes up: whole granules.
    pub(crate) fn reserved(self, bytes: u64) -> u64 {
        self.size(bytes).checked_next_multiple_of(self.granule()).unwrap_or(u64::MAX)
    }
}
