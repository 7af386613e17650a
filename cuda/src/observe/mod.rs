//! Observe: what a person, a dashboard or a tool can learn of a manager, and in whose words.
//!
//! | file | answers |
//! | --- | --- |
//! | `refusal`, `advice`, `words` | why was this refused, and what to try |
//! | `statistics`, `collect`, `census`, `roster`, `flat` | how much, how often, for whom: in PyTorch's keys |
//! | `metrics` | the same, to whatever exporter the program has |
//! | `snapshot`, `picture` | what lies where, and what does not: as JSON |
//! | `pickle`, `history`, `value` | the same and how it came to be, for PyTorch's viewer |
//! | `log` | what happened, one thing after the other |
//! | `observed` | the hooks: where the manager tells all this |

pub(crate) mod log;
pub(crate) mod observed;
pub(crate) mod refusal;
pub(crate) mod statistics;

mod advice;
mod census;
mod collect;
mod flat;
mod history;
#[cfg(feature = "metrics")]
mod metrics;
mod pickle;
mod picture;
mod roster;
mod snapshot;
mod value;
mod words;

pub use log::EventLog;
pub use refusal::{Advice, Because, EvictableAt, Holder, Refusal, Why};
pub use snapshot::{ArenaShot, DepartureShot, EntryShot, EntryState, Piece, PieceKind, Snapshot};
pub use statistics::{ByPool, Headroom, PluginStatistics, PriorityStatistics, Quantity, Residents, Share, Statistics};
