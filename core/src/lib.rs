//! The lock-free core of Freehold: who may enter, where it lives, what its name is, when it must leave.
//!
//! The core knows byte counts and offsets, never addresses; it decides who leaves, and moves nothing.
#![no_std]

extern crate alloc;

#[cfg(not(target_has_atomic = "64"))]
compile_error!("freehold-core keeps its state in 64-bit atomic words: this target has none");

// What everything else speaks in.
pub mod units;

mod sync;

/// Whether this build of the core runs on loom's atomics: a model asserts it, so that none passes by running without loom.
pub const LOOM: bool = cfg!(freehold_loom);

// 1. May it enter?
pub mod admission;
// 2. Where does it live?
pub mod buddy;
// 3. What is its name?
pub mod table;
// 4. When must it leave?
pub mod eviction;
// 5. Who stands in its way?
pub mod compaction;

pub use admission::{
    Acquire, AcquireError, AdmissionRequest, Fairness, Lease, LeaseError, MemoryPool, PoolError, PoolRef,
};
pub use buddy::{AllocateError, Audit, AuditError, Block, Buddy, FreeError, Geometry, GeometryError, Request, Slot};
pub use eviction::{Rank, Victim, Victims};
pub use table::{Claim, Duty, Entry, FollowUp, HandleKey, Owner, Pin, Residency, ResidencyWord, State, Table, Want};
pub use units::{Bytes, Offset};
