//! Naive twins: the simplest models that can be right, against which the real structures are run; and the world in which
//! behaviours are shown.

pub mod buddy_oracle;
pub mod buddy_twin;
pub mod eviction_twin;
pub mod files;
pub mod manager_twin;
pub mod pool_twin;
pub mod residency_twin;
pub mod table_twin;

pub mod card;
pub mod crowd;
pub mod far_device;
pub mod hooked_device;
pub mod layers;
pub mod seeded;
#[cfg(target_os = "linux")]
pub mod shared_pool;
pub mod sources;
pub mod unpickle;
pub mod watchdog;
pub mod world;

#[cfg(doctest)]
pub mod documents;
