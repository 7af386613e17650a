//! What the pool refuses, with the numbers the caller needs to decide what to do next.

use core::error::Error;
use core::fmt;
use core::time::Duration;

use super::word::LARGEST_TOTAL;
use crate::units::Bytes;

/// Why a pool cannot have this total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PoolError {
    /// A pool of 0 bytes could admit nobody.
    ZeroTotal,
    /// The pool's word counts up to 2^60 bytes.
    TotalTooLarge {
        /// The total asked for.
        requested: Bytes,
    },
}

/// Why bytes were not admitted. Nothing was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AcquireError {
    /// It can never fit: give up, ask for less, or enlarge the pool.
    TooLarge {
        /// The bytes asked for.
        requested: Bytes,
        /// All the bytes the pool has.
        total: Bytes,
    },
    /// It does not fit now, or others wait before it: try later, or wait with `acquire`.
    Full {
        /// The bytes asked for.
        requested: Bytes,
        /// The bytes that were free.
        available: Bytes,
        /// How many were waiting before it.
        waiting: u64,
    },
    /// The pool was closed: nobody is admitted any more.
    Closed,
    /// The time was up first: try again later, or with less.
    TimedOut {
        /// The bytes asked for.
        requested: Bytes,
        /// The bytes that were free in the end.
        available: Bytes,
        /// For how long it waited.
        waited: Duration,
    },
}

/// Why a lease was not changed. It holds what it held before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseError {
    /// More bytes than the lease holds.
    NotHeld {
        /// The bytes asked for.
        requested: Bytes,
        /// The bytes that the lease holds.
        held: Bytes,
    },
}

impl fmt::Display for PoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolError::ZeroTotal => write!(f, "a pool's total must be positive, and it is 0 bytes"),
            PoolError::TotalTooLarge { requested } => {
                write!(f, "a pool's total of {requested} is above the {LARGEST_TOTAL} bytes that a pool can count")
            }
        }
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            AcquireError::TooLarge { requested, total } => {
                write!(
                    f,
                    "{requested} can never fit the pool's total of {total}: enlarge the budget or give a smaller input"
                )
            }
            AcquireError::Full { requested, available, waiting } => {
                write!(
                    f,
                    "{requested} do not fit now: {available} free, {waiting} waiting before: wait, or ask for less"
                )
            }
            AcquireError::Closed => write!(f, "the pool is closed: it admits nobody any more"),
            AcquireError::TimedOut { requested, available, waited } => {
                write!(f, "{requested} were not free within {waited:?} ({available} are): wait longer, or ask for less")
            }
        }
    }
}

impl fmt::Display for LeaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseError::NotHeld { requested, held } => {
                write!(f, "{requested} are more than the {held} that the lease holds")
            }
        }
    }
}

impl Error for PoolError {}
impl Error for AcquireError {}
impl Error for LeaseError {}
