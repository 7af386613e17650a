//! The pool of the process: set up once from a budget in GiB that several processes of one card share in equal slices.
//!
//! Leases hold the pool that they are of, so those of a pool that was replaced still return to it.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use freehold_core::{Bytes, PoolError};
use thiserror::Error;

use super::MemoryPool;

static GLOBAL: ArcSwapOption<MemoryPool> = ArcSwapOption::const_empty();

const GIB: f64 = (1u64 << 30) as f64;

/// Why no pool was installed. The one installed before stays.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
#[non_exhaustive]
pub enum GlobalPoolError {
    /// The budget is not a number, or infinite.
    #[error("a budget of {gib} GiB is no amount of memory: give a finite number, or 0 to admit without asking")]
    NotFinite {
        /// The budget as given.
        gib: f64,
    },
    /// There is a budget and nobody to share it.
    #[error("a budget of {gib} GiB cannot be shared by {processes} processes: give at least 1")]
    NoProcesses {
        /// The budget as given.
        gib: f64,
        /// The number of processes as given.
        processes: i64,
    },
    /// Each process would get 0 bytes.
    #[error(
        "a budget of {budget} leaves 0 bytes for each of {processes} processes: give more, or share it among fewer"
    )]
    EmptySlice {
        /// The whole budget.
        budget: Bytes,
        /// How many processes share it.
        processes: i64,
    },
    /// The slice is no total that a pool can have.
    #[error(transparent)]
    Pool(#[from] PoolError),
}

/// Installs a pool of `int(gib * GiB) / processes` bytes as the pool of this process and returns it. With `gib` at 0 or below there is
/// no pool any more, and nobody has to ask: it returns `None`.
///
/// # Errors
/// [`GlobalPoolError`]; the pool that was installed before stays.
pub fn init_global_pool(gib: f64, processes: i64) -> Result<Option<Arc<MemoryPool>>, GlobalPoolError> {
    let pool = slice(gib, processes)?.map(|bytes| MemoryPool::new(bytes).map(Arc::new)).transpose()?;
    if let Some(pool) = &pool {
        let (bytes, budget_bytes) = (pool.total_bytes().get(), budget(gib).get());
        tracing::info!(bytes, budget_bytes, processes, "admission pool of this process");
    }
    set_global_pool(pool.clone());
    Ok(pool)
}

/// The pool of this process, if it has one.
#[must_use]
pub fn global_pool() -> Option<Arc<MemoryPool>> {
    GLOBAL.load_full()
}

/// Installs a pool, or none, and returns the one before, whose leases still return to it.
pub fn set_global_pool(pool: Option<Arc<MemoryPool>>) -> Option<Arc<MemoryPool>> {
    GLOBAL.swap(pool)
}

fn slice(gib: f64, processes: i64) -> Result<Option<Bytes>, GlobalPoolError> {
    if !gib.is_finite() {
        return Err(GlobalPoolError::NotFinite { gib });
    }
    if gib <= 0.0 {
        return Ok(None);
    }
    let sharers = u64::try_from(processes).ok().filter(|&sharers| sharers > 0);
    let sharers = sharers.ok_or(GlobalPoolError::NoProcesses { gib, processes })?;
    let budget = budget(gib);
    match budget.get() / sharers {
        0 => Err(GlobalPoolError::EmptySlice { budget, processes }),
        bytes => Ok(Some(Bytes(bytes))),
    }
}

/// Whole bytes, the fraction cut off.
fn budget(gib: f64) -> Bytes {
    Bytes((gib * GIB) as u64)
}
