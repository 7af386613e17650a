//! Who else divides an arena: allocators of crates.io, one file each, as their documentation says to use them.
//!
//! `frame-alloc` knows threads and is measured as it is. The others do not: see [`Alone`](crate::contender::Alone) and
//! [`Locked`](crate::contender::Locked). Buddies of powers of two round every request up to one, and a refusal of theirs is
//! part of the result.

mod buddy_system;
mod frame;
mod memory;
mod offset;
mod range;
mod rlsf;
mod xalloc;

pub use buddy_system::BuddySystem;
pub use frame::FrameAlloc;
pub use offset::OffsetAllocator;
pub use range::RangeAlloc;
pub use rlsf::Rlsf;
pub use xalloc::Xalloc;
