//! Bytes and offsets: two quantities that must never be mistaken for each other.
//!
//! A [`Bytes`] is an amount, an [`Offset`] is a place inside one arena. Adding an amount to a place gives a place;
//! the difference of two places is an amount; adding two places is no operation at all.

use core::fmt;
use core::ops::{Add, Sub};

/// An amount of memory, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Bytes(pub u64);

/// A place inside one arena: the number of bytes from its start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Offset(pub u64);

impl Bytes {
    /// No bytes at all.
    pub const ZERO: Bytes = Bytes(0);

    /// The amount as a plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The smallest multiple of `unit` that is at least this amount, or `None` where 64 bits cannot hold it (A7: rounding
    /// never wraps) or `unit` is zero.
    #[must_use]
    pub const fn checked_round_up(self, unit: Bytes) -> Option<Bytes> {
        match self.0.checked_next_multiple_of(unit.0) {
            Some(rounded) => Some(Bytes(rounded)),
            None => None,
        }
    }
}

impl Offset {
    /// The place as a plain number of bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0)
    }
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "offset {:#x}", self.0)
    }
}

impl Add<Bytes> for Offset {
    type Output = Offset;
    fn add(self, amount: Bytes) -> Offset {
        Offset(self.0 + amount.0)
    }
}

impl Sub for Offset {
    type Output = Bytes;
    fn sub(self, start: Offset) -> Bytes {
        Bytes(self.0 - start.0)
    }
}

impl Add for Bytes {
    type Output = Bytes;
    fn add(self, other: Bytes) -> Bytes {
        Bytes(self.0 + other.0)
    }
}

impl Sub for Bytes {
    type Output = Bytes;
    fn sub(self, other: Bytes) -> Bytes {
        Bytes(self.0 - other.0)
    }
}
