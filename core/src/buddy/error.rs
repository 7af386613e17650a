//! The buddy's refusals: one small enum an operation, one variant for each thing the caller can do about it.

use core::fmt;

use super::request::Block;
use crate::units::{Bytes, Offset};

/// Why there can be no arena of such a shape.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeometryError {
    /// Not one granule fits, or the granule is zero: give a larger arena or a smaller granule.
    NoGranule {
        /// The arena asked for.
        arena: Bytes,
        /// The granule asked for.
        granule: Bytes,
    },
    /// More granules than are supported: take a larger granule.
    TooMany {
        /// The granules this arena would have.
        granules: u64,
        /// The most there may be.
        limit: u64,
    },
}

/// Why an allocation was refused.
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllocateError {
    /// Give up: the arena as a whole is smaller.
    TooLarge {
        /// The bytes asked for.
        requested: Bytes,
        /// All the bytes there are.
        capacity: Bytes,
    },
    /// Wait, free or evict: no hole is long enough now.
    Full {
        /// The bytes asked for.
        requested: Bytes,
        /// The bytes free in all, in however many holes.
        free: Bytes,
        /// The longest hole, as the size classes know it; [`Buddy::largest_hole`](super::Buddy::largest_hole) looks at all.
        largest_hole: Bytes,
        /// True when another thread's operation was under way and may be hiding the hole looked for: try once more
        /// before evicting. False when the verdict is exact: at one moment of this call there was no such hole.
        in_flight: bool,
    },
    /// Ask for at least one byte: an empty buffer needs no arena.
    ZeroBytes,
}

/// Why a block was not taken back. Both are mistakes of the caller; nothing was changed.
#[non_exhaustive]
#[derive(Debug, PartialEq, Eq)]
pub enum FreeError {
    /// Some of its granules are already free.
    AlreadyFree(Block),
    /// Its range is no run of granules of this arena.
    NotHere(Block),
}

/// The books do not agree. Each variant names the invariant that is broken, see [`Audit`](super::Audit).
#[non_exhaustive]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditError {
    /// A granule is free twice: under a token, and again under a token above it.
    FreeTwice {
        /// Where the granule lies.
        offset: Offset,
    },
    /// A token lies outside the arena.
    Outside {
        /// Where the token points.
        offset: Offset,
    },
    /// A token that a complete search would not find.
    Unseen {
        /// Where the token lies.
        offset: Offset,
    },
    /// The tree and the counts of what was handed out and taken back disagree.
    Unbalanced {
        /// What the tree holds.
        free: Bytes,
        /// What the counts say it should hold.
        counted: Bytes,
    },
}

impl fmt::Display for GeometryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GeometryError::NoGranule { arena, granule } => {
                write!(f, "an arena of {arena} does not hold one granule of {granule}")
            }
            GeometryError::TooMany { granules, limit } => {
                write!(f, "an arena of {granules} granules: at most {limit} are supported, take a larger granule")
            }
        }
    }
}

impl fmt::Display for AllocateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AllocateError::TooLarge { requested, capacity } => {
                write!(f, "{requested} requested from an arena of {capacity}: it can never fit")
            }
            AllocateError::Full { requested, free, largest_hole, in_flight } => {
                write!(f, "{requested} requested, {free} free, the largest hole has {largest_hole}")?;
                if *in_flight {
                    f.write_str("; another operation was under way, trying again may help")
                } else {
                    Ok(())
                }
            }
            AllocateError::ZeroBytes => f.write_str("zero bytes requested from an arena"),
        }
    }
}

impl fmt::Display for FreeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FreeError::AlreadyFree(block) => {
                write!(f, "{} at {} freed twice: some of it is free already", block.bytes(), block.offset())
            }
            FreeError::NotHere(block) => {
                write!(f, "{} at {} freed to an arena that never gave it", block.bytes(), block.offset())
            }
        }
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AuditError::FreeTwice { offset } => write!(f, "I1: {offset} is free twice"),
            AuditError::Outside { offset } => write!(f, "I1: a token at {offset}, outside the arena"),
            AuditError::Unseen { offset } => write!(f, "I3: free space at {offset} that a search would not see"),
            AuditError::Unbalanced { free, counted } => {
                write!(f, "I2: {free} free in the tree, {counted} by the counts")
            }
        }
    }
}

impl core::error::Error for GeometryError {}
impl core::error::Error for AllocateError {}
impl core::error::Error for FreeError {}
impl core::error::Error for AuditError {}
