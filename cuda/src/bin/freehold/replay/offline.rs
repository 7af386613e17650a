//! The yardstick: who is accessed last, leaves first, read off the trace ahead. No policy that can be had does as well.

use std::collections::HashMap;

use freehold_cuda::{EntryFacts, EvictionOrder};
use parking_lot::RwLock;

use crate::trace::{Op, Trace};

/// Farthest next access first.
#[derive(Debug)]
pub(super) struct Offline {
    /// By the trace's id: the ticks of its accesses, in order.
    accesses: Vec<Vec<u64>>,
    /// The trace's id by the manager's.
    known: RwLock<HashMap<u64, u32>>,
}

impl Offline {
    pub(super) fn of(trace: &Trace) -> Offline {
        let mut accesses = vec![Vec::new(); trace.ids];
        for (event, tick) in trace.events.iter().zip(1..) {
            if event.op == Op::Access {
                accesses[event.id as usize].push(tick);
            }
        }
        Offline { accesses, known: RwLock::default() }
    }

    /// A weight became known to the manager.
    pub(super) fn know(&self, handle: u64, id: u32) {
        self.known.write().insert(handle, id);
    }

    fn next_access(&self, id: u32, now: u64) -> Option<u64> {
        let accesses = &self.accesses[id as usize];
        accesses.get(accesses.partition_point(|&tick| tick <= now)).copied()
    }
}

impl EvictionOrder for Offline {
    fn score(&self, facts: &EntryFacts<'_>) -> u64 {
        let id = self.known.read().get(&facts.id).copied();
        // What is never accessed again leaves before all that is.
        id.and_then(|id| self.next_access(id, facts.now)).map_or(0, |next| u64::MAX - next)
    }
}
