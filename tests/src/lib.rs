//! Naive twins: the simplest models that can be right, against which the real structures are run.

pub mod buddy_twin;
pub mod pool_twin;
