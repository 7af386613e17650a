//! Freehold: several engines share one card's memory and know nothing of each other.
//!
//! A [`VramManager`] divides a budget of device memory among handles. A [`VramHandle`] keeps its identity when its
//! memory is evicted; the next access brings the content back from its backing [`source`]. The core, `freehold-core`, decides
//! who may enter, where it lives and when it must leave; this crate binds that to real memory.
//!
//! ```
//! use freehold_cuda::{Allocation, Bytes, HostBytes, VramManager};
//!
//! let manager = VramManager::builder().budget(Bytes(8192)).build()?;
//! let layer = |n: u8| Allocation::new(Bytes(6000)).label("layer").source(HostBytes(vec![n; 6000].into()));
//! let first = manager.allocate(layer(1))?;
//! let second = manager.allocate(layer(2))?; // no room for both: the first is evicted
//! assert!(!first.is_resident());
//! assert_eq!(first.access()?.as_host_slice(), Some(&[1; 6000][..])); // and comes back, the second leaves
//! # drop(second);
//! # Ok::<(), freehold_cuda::Error>(())
//! ```
//!
//! | to | see |
//! | --- | --- |
//! | make a manager | [`VramManagerBuilder`], [`DeviceMemory`] |
//! | ask for memory | [`VramManager::allocate`], [`Allocation`] |
//! | use it | [`VramHandle::access`], [`VramManager::access_all`], [`Access`], [`AccessMut`] |
//! | use it on a stream | [`VramHandle::access_on`], [`memory::driver`] (feature `cuda`) |
//! | say where bytes come from | [`source`], [`ModelSource`] |
//! | say who leaves, and for whom | [`Policy`], [`Floor`] |
//! | share | [`VramManager::acquire_shared_weights`], [`VramManager::acquire_shared_model`] |
//! | ask before a job | [`MemoryPool`], [`admission`] |
//! | understand a refusal | [`Error`], [`Refusal`] |
//! | see what happened | [`Statistics`], [`Snapshot`], [`EventLog`], [`Observer`], [`LeakReport`], [`VramManager::audit`] |
//!
//! # Progress
//! Access to a resident entry, an allocation that fits and a free are lock-free. Making room is done by one thread at a
//! time, so that victims leave in exact order. No lock is held around a source or an observer.
//!
//! # Panics
//! Where panics unwind, one in a backing source becomes an error. With `panic = "abort"` it ends the process.

// What a caller says, and what it hears.
mod allocation;
pub mod clock;
mod error;
mod floor;
mod label;
pub mod observe;
mod observer;
mod plugin;
pub mod source;

// May it enter?
pub mod admission;

// The memory below.
mod arena;
mod arenas;
mod budget;
mod counters;
mod fence;
pub mod memory;
mod seat;
mod stream;

// What changes around it.
mod fork;
mod patience;
mod resize;

// The life of an entry, in order.
mod access;
mod access_all;
#[cfg(feature = "cuda")]
mod access_on;
mod ahead;
mod audit;
mod builder;
mod close;
mod evict;
mod handle;
mod inner;
mod leaving;
mod manager;
mod materialise;
mod model;
mod moves;
mod picture;
mod place;
mod policy;
mod prefetch;
mod room;
mod spill;
mod suppose;
mod survey;
mod tenancy;
mod tenant;
mod weights;

pub use access::{Access, AccessMut};
#[cfg(feature = "cuda")]
pub use access_on::{AccessMutOn, AccessOn};
pub use admission::{MemoryPool, global_pool, init_global_pool, set_global_pool};
pub use ahead::Ahead;
pub use allocation::Allocation;
pub use audit::{Books, BooksError};
pub use budget::Reservation;
pub use builder::VramManagerBuilder;
pub use clock::{Clock, ManualClock, MonotonicClock};
pub use close::{Leak, LeakReport};
pub use error::{Error, SourceError};
pub use floor::Floor;
pub use handle::VramHandle;
pub use manager::VramManager;
pub use memory::{Address, DeviceError, DeviceInfo, DeviceMemory, HostDevice, Region};
pub use model::{Model, ModelSource};
pub use observe::{Advice, EventLog, Refusal, Snapshot, Statistics};
pub use observer::{Event, Observer};
pub use plugin::{Plugin, Stats};
pub use policy::{EntryFacts, EvictionOrder, Policy};
pub use prefetch::Prefetch;
pub use resize::{BudgetChange, Handover};
pub use room::Candidate;
pub use source::{FileRange, HostBytes, PinnedBytes, Safetensors, Sink, Source};
pub use stream::{StreamId, StreamSet};

/// The driver's own types, which are in this crate's API.
#[cfg(feature = "cuda")]
pub use cudarc;

pub use freehold_core::{Bytes, HandleKey, Rank};
