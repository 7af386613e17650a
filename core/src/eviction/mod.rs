//! 4. When must it leave? The order of eviction: by priority, then by last use, then by age in the table; strictly.
//!
//! One scan over the entries serves a whole round: it keeps the few that leave first, in exact order (B2, B5). The order
//! alone decides; size never does (B3). Nothing here is shared, so nothing here is atomic.

mod rank;
mod victim;

pub use rank::Rank;
pub use victim::{Victim, Victims};
