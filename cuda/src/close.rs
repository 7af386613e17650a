//! Close: every entry is released, and whoever still had a handle is named.

use crate::inner::Inner;
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, HandleKey};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

/// What was still alive when the manager closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LeakReport {
    /// The handles, oldest first.
    pub live: Vec<Leak>,
    /// Regions that could not go back to the device, because a guard still pins something in them. They go back with the
    /// last handle.
    pub regions_kept: usize,
    /// What the device said where it refused to take a region back.
    pub device_errors: Vec<Arc<str>>,
}

/// One handle that nobody released.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Leak {
    /// Its key in the manager's table.
    pub key: HandleKey,
    /// Its number.
    pub id: u64,
    /// Its label.
    pub label: Arc<str>,
    /// The plugin it belongs to.
    pub plugin: Arc<str>,
    /// The size asked for.
    pub bytes: Bytes,
    /// Whether it had memory.
    pub resident: bool,
    /// How many guards pinned it.
    pub pins: u64,
}

/// Refuses what comes from now on, releases every entry, and gives the arenas back that nobody uses any more.
pub(crate) fn close(inner: &Inner) -> LeakReport {
    let mut report = LeakReport::default();
    if !inner.is_ours() || inner.closed.swap(true, Relaxed) {
        return report;
    }
    // SeqCst: pairs with the fence in `tenancy`. Whoever puts an entry into the table after our walk sees `closed`.
    fence(SeqCst);
    let guard = epoch::pin();
    for entry in inner.table.iter(&guard) {
        let (tenant, state) = (entry.payload(), entry.residency().snapshot());
        if state.is_released() {
            continue;
        }
        report.live.push(Leak {
            key: entry.key(),
            id: entry.id(),
            label: tenant.label.shared(),
            plugin: tenant.plugin.shared_name(),
            bytes: tenant.bytes,
            resident: state.residency() == freehold_core::Residency::Resident,
            pins: state.pins(),
        });
        inner.conclude(entry, entry.residency().release());
    }
    inner.prefetcher.end();
    inner.spill.trim();
    report.live.sort_unstable_by_key(|leak| leak.id);
    // With the turn: whoever makes room now may be about to get a region; whoever comes after finds the manager closed.
    let _turn = inner.room.lock();
    for (_, arena) in inner.arenas.iter() {
        match arena.give_back() {
            Ok(true) => {}
            Ok(false) => report.regions_kept += 1,
            Err(error) => report.device_errors.push(error.to_string().into()),
        }
    }
    report
}

impl fmt::Display for LeakReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes: u64 = self.live.iter().map(|leak| leak.bytes.get()).sum();
        write!(f, "{} handles of {} alive at close", self.live.len(), Bytes(bytes))?;
        for leak in &self.live {
            let memory = if leak.resident { "resident" } else { "without memory" };
            write!(
                f,
                "\n  {} {:?} of {:?}: {}, {memory}, {} pins",
                leak.key, leak.label, leak.plugin, leak.bytes, leak.pins
            )?;
        }
        Ok(())
    }
}
