//! 5. Who stands in the way? Which blocks must move so that a hole of a given size opens.
//!
//! The free bytes of an arena may suffice for a request and yet lie in pieces. A copy inside the device is many times cheaper
//! than an eviction and a new upload, so before one more entry leaves, blocks are moved. This module only plans: it is
//! given a picture of the arena ([`Layout`]) and says which blocks go where ([`Plan`]); whoever carries the plan out claims
//! the free parts first ([`Buddy::take`](crate::Buddy::take)), and gives up where the picture was out of date.
//!
//! ```text
//!   before   |#A#|  free  |##B##| free |###C###|wall|     need: two frees together
//!   slide    |#A#|##B##|  hole         |###C###|wall|     B moves left by less than its length
//!   relocate: B moves into a free piece elsewhere, where there is one that fits
//! ```
//!
//! Two ways are compared and the one that copies fewer bytes is taken. **Slide**: inside one interval without walls whose
//! free pieces suffice, every block moves to the left end. It works whenever such an interval exists. **Relocate**: the
//! blocks of one interval move out of it, each into the smallest free piece elsewhere that takes it.

mod layout;
mod plan;

pub use layout::{Layout, Occupant};
pub use plan::{Move, Plan};
