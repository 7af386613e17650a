//! The roster: a manager's plugins, and what those that are gone have counted.

use crate::plugin::{Plugin, Stats};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The plugins of a manager. Those that nobody has any more are kept as sums, by name, so that nothing grows but with names.
#[derive(Debug, Default)]
pub(crate) struct Roster(Mutex<Plugins>);

#[derive(Debug, Default)]
struct Plugins {
    living: Vec<Plugin>,
    gone: BTreeMap<Arc<str>, (Stats, u64)>,
    /// Look for those that are gone when there are so many.
    look_at: usize,
}

impl Roster {
    pub(crate) fn enter(&self, plugin: &Plugin) {
        let plugins = &mut *self.0.lock();
        plugins.living.push(plugin.clone());
        if plugins.living.len() > plugins.look_at.max(16) {
            let (gone, living): (Vec<_>, _) =
                std::mem::take(&mut plugins.living).into_iter().partition(Plugin::is_last);
            plugins.living = living;
            plugins.look_at = 2 * plugins.living.len();
            for plugin in gone {
                let (stats, hits) = plugins.gone.entry(plugin.shared_name()).or_default();
                stats.merge(&plugin.stats());
                *hits += plugin.hits();
            }
        }
    }

    /// By name: what was counted, and the accesses that found their entry there.
    pub(crate) fn by_name(&self) -> BTreeMap<Arc<str>, (Stats, u64)> {
        let plugins = self.0.lock();
        let mut sums = plugins.gone.clone();
        for plugin in &plugins.living {
            let (stats, hits) = sums.entry(plugin.shared_name()).or_default();
            stats.merge(&plugin.stats());
            *hits += plugin.hits();
        }
        sums
    }
}
