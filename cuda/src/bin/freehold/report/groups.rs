//! Groups: the plugins that have a colour of their own. An eye tells some eight colours apart, so the rest share one.
//!
//! Who is large is read off the trace before the replay begins, so that everything counted by group stays small. Plugins of
//! one name are one group: the picture could not tell them apart.

use std::collections::{BTreeMap, HashMap};

use crate::trace::{Op, Trace};

/// Groups in all: seven with a name, and the others.
pub(super) const GROUPS: usize = 8;

/// The number of a group.
pub(super) type Group = u8;

/// Which plugin is in which group.
#[derive(Debug)]
pub(super) struct Groups {
    /// In the order in which the trace meets them, the others last.
    names: Vec<String>,
    by_name: HashMap<String, Group>,
}

impl Groups {
    pub(super) fn of(trace: &Trace) -> Groups {
        let mut bytes = vec![0_u64; trace.threads.len()];
        for event in trace.events.iter().filter(|event| matches!(event.op, Op::Load | Op::Alloc | Op::Acquire)) {
            let sum = &mut bytes[usize::from(event.thread)];
            *sum = sum.saturating_add(event.bytes);
        }
        // By name: when it is first met, and how much its plugins ask for.
        let mut wanted: BTreeMap<String, (usize, u64)> = BTreeMap::new();
        for (thread, &bytes) in bytes.iter().enumerate() {
            let of_name = wanted.entry(trace.thread_name(thread as u16)).or_insert((thread, 0));
            of_name.1 = of_name.1.saturating_add(bytes);
        }
        let mut largest: Vec<_> = wanted.into_iter().collect();
        largest.sort_by_key(|&(_, (first, bytes))| (std::cmp::Reverse(bytes), first));
        largest.truncate(GROUPS - 1);
        largest.sort_by_key(|&(_, (first, _))| first);
        let mut names: Vec<String> = largest.into_iter().map(|(name, _)| name).collect();
        let by_name = names.iter().cloned().zip(0..).collect();
        names.push("others".to_owned());
        Groups { names, by_name }
    }

    /// The group of a plugin.
    pub(super) fn group(&self, plugin: &str) -> Group {
        self.by_name.get(plugin).copied().unwrap_or(self.names.len() as Group - 1)
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }
}
