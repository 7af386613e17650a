//! Policies: who leaves first among entries of one priority. Priority itself is strict in every policy (B2).
//!
//! A survey asks the policy for a score of each entry that may leave and sorts by (priority, score, id); nothing else knows
//! which policy is at work. [`PriorityLru`](Policy::PriorityLru) scores by last use and learns nothing.
//! [`PriorityNextUse`](Policy::PriorityNextUse) predicts when an entry is needed next:
//!
//! ```text
//!   an entry's beat      after how many uses of its plugin it comes again            (one word an entry)
//!   a plugin's rhythm    when its latest uses were; where it pauses; how fast it is  (one history a plugin)
//!   the prediction       the uses until the entry's turn, laid on the plugin's time
//! ```

mod beat;
mod order;
mod rhythm;

pub(crate) use beat::BeatCell;
pub(crate) use order::Order;
pub(crate) use rhythm::Rhythm;

use freehold_core::{Bytes, HandleKey};
use std::fmt::Debug;
use std::sync::Arc;

/// Who leaves first among the entries of one priority.
///
/// ```
/// use freehold_cuda::{Bytes, Policy, VramManager};
///
/// let manager = VramManager::builder().budget(Bytes(1 << 20)).policy(Policy::PriorityNextUse).build()?;
/// # Ok::<(), freehold_cuda::Error>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub enum Policy {
    /// The least recently used: exact, and free of cost beyond the tick that each use notes.
    #[default]
    PriorityLru,
    /// The one whose next use is farthest away, as learned from the uses so far: for each entry, after how many uses of its
    /// plugin it came again; for each plugin, how its uses lay in time. Layer after layer in a loop larger than the card is
    /// the worst case of LRU, and the best of this.
    ///
    /// **Learns** only from uses (`access`, `touch`); an entry used once so far is judged by its age, as LRU does.
    /// **Complexity**: a use costs a few plain loads and stores on the entry's and the plugin's own lines, with no lock and no
    /// read-modify-write; a plugin 64 KiB; a survey a few loads more an entry. Two threads that use one plugin's entries
    /// in the same instant may lose each other's use: the prediction blurs, nothing else.
    ///
    /// **Loses** to LRU where uses follow no order but recency, and where entries of several orders (experts chosen at random)
    /// count as one plugin: the last interval then says little about the next. Shared weights keep one beat in
    /// the time of the plugin that made them, whoever uses them: a beat for each consumer uploads more on recorded work.
    PriorityNextUse,
    /// An order of the caller's.
    Custom(Arc<dyn EvictionOrder>),
}

impl Policy {
    /// Whether uses are to be noted for it.
    pub(crate) fn learns(&self) -> bool {
        matches!(self, Policy::PriorityNextUse)
    }
}

/// A caller's order inside one priority.
pub trait EvictionOrder: Send + Sync + Debug {
    /// The lower leaves first; equal scores leave by id (B5).
    ///
    /// Called in every survey for every entry that may leave, while somebody makes room: it must be quick and must not call
    /// the manager, which would wait for itself.
    fn score(&self, facts: &EntryFacts<'_>) -> u64;
}

/// What a caller's order may judge by.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct EntryFacts<'a> {
    /// Its key in the manager's table.
    pub key: HandleKey,
    /// Its number: smaller is older.
    pub id: u64,
    /// Its label.
    pub label: &'a str,
    /// The name of the plugin that made it.
    pub plugin: &'a str,
    /// The size asked for.
    pub bytes: Bytes,
    /// The tick of its latest use.
    pub last_use: u64,
    /// The tick of the survey.
    pub now: u64,
}
