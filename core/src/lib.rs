//! The lock-free core of Freehold: who may enter, where it lives, what its name is, when it must leave.
//!
//! The core knows byte counts and offsets, never addresses; it decides who leaves, and moves nothing. A manager that binds
//! it to real memory is the crate `freehold-cuda`; each module can be used alone.
//!
//! | question | module | from, to |
//! | --- | --- | --- |
//! | 1. May it enter? | [`admission`] | bytes, a [`Lease`] |
//! | 2. Where does it live? | [`buddy`] | a size, a [`Block`] |
//! | 3. What is its name? | [`table`] | an entry, a [`HandleKey`] |
//! | 4. When must it leave? | [`eviction`] | a [`Rank`] each, [`Victims`] in order |
//! | 5. Who stands in its way? | [`compaction`] | a picture of an arena, a plan of moves |
//!
//! # The five together
//! ```
//! use freehold_core::{Buddy, Bytes, Claim, Duty, Geometry, MemoryPool, Pin, Request, Table, Victim, Victims};
//!
//! let pool = MemoryPool::new(Bytes(1 << 20)).unwrap();
//! let buddy = Buddy::new(Geometry::new(Bytes(1 << 20), Bytes(512)).unwrap());
//! let epochs = crossbeam_epoch::Collector::new();
//! let table = Table::new(epochs.clone());
//!
//! let lease = pool.try_acquire(Bytes(3000)).unwrap(); // 1. it may enter
//! let block = buddy.allocate(0, Request::new(Bytes(3000))).unwrap(); // 2. it lives here
//! let entry = table.insert(0, 1, block.offset()); // 3. its name, priority 0, last used at tick 1
//! assert_eq!(entry.residency().begin_materialise(), Claim::Won);
//! let _ = entry.residency().finish_materialise(0); // its bytes are there
//!
//! assert_eq!(entry.residency().try_pin(), Pin::Pinned); // somebody uses it
//! let _ = entry.residency().unpin();
//!
//! let victim = Victim { rank: entry.rank(), key: entry.key(), bytes: buddy.geometry().reserved(block.bytes()) };
//! let first = Victims::gather([victim]).next().unwrap(); // 4. it is the first to leave
//! assert_eq!((first.key, entry.residency().begin_evict()), (entry.key(), Claim::Won));
//! buddy.free(0, block);
//! assert_eq!(entry.residency().finish_evict().duty, Duty::None); // its name stays
//!
//! table.retire(entry, &epochs.register().pin());
//! drop(lease);
//! assert_eq!((buddy.free_bytes(), pool.available_bytes()), (buddy.capacity(), pool.total_bytes()));
//! ```
//!
//! # Progress
//! Every operation is lock-free, and a thread that is stopped anywhere inside one stops no other. Nothing waits but who asks
//! to: a wait is a [`Waker`](core::task::Waker), and what sleeps on it is the caller's choice. The buddy and the pool allocate
//! from the system when they are made (the pool also while somebody waits); the table when an entry comes or goes.
//!
//! # Platforms
//! `no_std` with `alloc`; 64-bit atomics are required.
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
// What happened? On nobody's path: a log stands on it.
pub mod ring;

pub use admission::{
    Acquire, AcquireError, AdmissionRequest, Fairness, Lease, LeaseError, MemoryPool, PoolError, PoolRef,
};
pub use buddy::{AllocateError, Audit, AuditError, Block, Buddy, FreeError, Geometry, GeometryError, Request, Slot};
pub use eviction::{Rank, Victim, Victims};
pub use table::{Claim, Duty, Entry, FollowUp, HandleKey, Owner, Pin, Residency, ResidencyWord, State, Table, Want};
pub use units::{Bytes, Offset};
