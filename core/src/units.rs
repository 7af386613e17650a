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

/// The units in which a person says large amounts, the largest first.
const SAID_IN: [(u64, &str); 3] = [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB")];

impl fmt::Display for Bytes {
    /// From a mebibyte on in the unit that a person would say it in, to two decimals; where these are not the whole truth, the exact
    /// number stands behind: `1.5 GiB`, `1.5 GiB (1610616832 bytes)`, `4096 bytes`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((unit, name)) = SAID_IN.into_iter().find(|(unit, _)| self.0 >= *unit) else {
            return write!(f, "{} bytes", self.0);
        };
        // Below 2^47: the rest is below 2^40.
        let hundreds = self.0 % unit * 100;
        write!(f, "{}", self.0 / unit)?;
        match hundreds / unit {
            0 => Ok(()),
            decimals if decimals % 10 == 0 => write!(f, ".{}", decimals / 10),
            decimals => write!(f, ".{decimals:02}"),
        }?;
        write!(f, " {name}")?;
        if hundreds.is_multiple_of(unit) { Ok(()) } else { write!(f, " ({} bytes)", self.0) }
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

#[cfg(test)]
mod tests {
    extern crate alloc;
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_amount_is_said_as_a_person_would_and_exactly() {
        let (mib, gib, tib) = (1 << 20, 1 << 30, 1_u64 << 40);
        for (bytes, said) in [
            (0, "0 bytes"),
            (mib - 1, "1048575 bytes"),
            (mib, "1 MiB"),
            (mib + 1, "1 MiB (1048577 bytes)"),
            (gib - 1, "1023.99 MiB (1073741823 bytes)"),
            (gib + gib / 2, "1.5 GiB"),
            (gib + gib / 4, "1.25 GiB"),
            (24 * gib + gib / 20, "24.04 GiB (25823490867 bytes)"),
            (24 * gib + 5 * mib, "24 GiB (25775046656 bytes)"),
            (3 * tib, "3 TiB"),
            (u64::MAX, "16777215.99 TiB (18446744073709551615 bytes)"),
        ] {
            assert_eq!(Bytes(bytes).to_string(), said);
        }
    }
}
