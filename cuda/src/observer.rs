//! What an onlooker is told: who came, who left for whom, who was refused.
//!
//! Events are handed over after the fact and with no internal lock held (C8), so an observer may call the manager. It must not
//! access the entry for which room is being made: that one comes when the observer is done. A panic of an observer is logged
//! and goes no further.

use freehold_core::{Bytes, Rank};
use std::fmt::Debug;
use std::sync::Arc;

/// One thing that happened in the manager. Ids are those of [`VramHandle::id`](crate::VramHandle::id).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An entry's content was brought from its source, or back from where it was spilled.
    Loaded {
        /// The entry.
        id: u64,
        /// Its size.
        bytes: Bytes,
        /// The plugin it belongs to.
        plugin: Arc<str>,
    },
    /// An entry lost its memory to make room. Events of one round come in the order of leaving.
    Evicted {
        /// The entry.
        id: u64,
        /// Its size.
        bytes: Bytes,
        /// The plugin it belongs to.
        plugin: Arc<str>,
        /// Its place in the eviction order when it was chosen.
        rank: Rank,
        /// The request that room was made for.
        needed: Bytes,
        /// The plugin that asked.
        needed_by: Arc<str>,
    },
    /// An entry was moved inside its arena, content and identity kept.
    Moved {
        /// The entry.
        id: u64,
        /// Its size.
        bytes: Bytes,
    },
    /// A request found no room, though everything that may leave was counted.
    Refused {
        /// What was asked.
        requested: Bytes,
        /// The plugin that asked.
        plugin: Arc<str>,
    },
}

/// Somebody who is told of events. Called from whichever thread caused the event; slow observers slow that thread.
pub trait Observer: Send + Sync + Debug {
    /// Takes one event.
    fn event(&self, event: &Event);
}
