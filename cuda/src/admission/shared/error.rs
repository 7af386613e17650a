//! What a shared pool refuses, beside what every pool does.

use std::io;
use std::path::PathBuf;

use freehold_core::{AcquireError, Bytes};
use thiserror::Error;

/// Why a shared pool could not be joined or used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum SharedPoolError {
    /// The request was refused, as by any pool.
    #[error(transparent)]
    Acquire(#[from] AcquireError),
    /// A name is 1 to 200 letters, digits, `-`, `_` and `.`.
    #[error("{name:?} is no name of a shared pool: use 1 to 200 letters, digits, '-', '_' and '.'")]
    Name {
        /// The name as given.
        name: String,
    },
    /// No pool can have this total.
    #[error("a shared pool of {requested} cannot be: its total must be positive and at most 2^60 bytes")]
    Total {
        /// The total asked for.
        requested: Bytes,
    },
    /// The others are in it with another total.
    #[error(
        "the pool has {installed} and was to be joined with {requested}: join with the same total, or under another name"
    )]
    OtherTotal {
        /// The total that the pool has.
        installed: Bytes,
        /// The total that was asked for.
        requested: Bytes,
    },
    /// The file of that name is not a pool of this version.
    #[error("{path} is no segment of this version of the pool: remove it, or use another name")]
    Foreign {
        /// Where it lies.
        path: PathBuf,
    },
    /// The segment says what cannot be.
    #[error("{path} does not add up: {leased} are leased of {total}: stop its processes and remove it")]
    Corrupt {
        /// Where it lies.
        path: PathBuf,
        /// The sum of what is leased.
        leased: Bytes,
        /// The total of the pool.
        total: Bytes,
    },
    /// As many processes are in it as there are cells.
    #[error("{processes} processes are in the pool, and it has no room for more")]
    Crowded {
        /// How many.
        processes: usize,
    },
    /// As many wait as there are seats.
    #[error("{waiting} requests wait in the pool, and it has no room for more: try again later")]
    NoSeat {
        /// How many.
        waiting: usize,
    },
    /// This process is a child of the one that joined: it has to join for itself.
    #[error("the pool was joined before a fork: join it in the child for itself")]
    Forked,
    /// The system refused.
    #[error("the system refused to {what}: {source}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// What it said.
        source: io::Error,
    },
}

impl SharedPoolError {
    pub(super) fn io(what: &'static str) -> impl FnOnce(io::Error) -> SharedPoolError {
        move |source| SharedPoolError::Io { what, source }
    }
}
