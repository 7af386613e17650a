//! The statistics through the `metrics` facade (feature `metrics`): whatever exporter the program has set up gets them.
//!
//! They are published when the program says so, before a scrape or on a timer: nothing is paid where things happen. Counters are told
//! as absolute values, so that publishing twice counts nothing twice.

use super::statistics::{Share, Statistics};
use crate::manager::VramManager;
use crate::plugin::Stats;
use metrics::{Label, SharedString, counter, gauge};

impl VramManager {
    /// Tells the recorder of the `metrics` crate every statistic, labelled `manager = name`.
    ///
    /// Counters end in `_total`; those of plugins and priorities have a label of that name. See [`statistics`](Self::statistics) for
    /// what each is, and what is exact.
    ///
    /// ```
    /// use freehold_cuda::{Bytes, VramManager};
    ///
    /// let manager = VramManager::builder().budget(Bytes(1 << 20)).build()?;
    /// manager.publish_metrics("card 0"); // goes nowhere, where no recorder is installed
    /// # Ok::<(), freehold_cuda::Error>(())
    /// ```
    pub fn publish_metrics(&self, name: &str) {
        let statistics = self.statistics();
        levels(&statistics, name);
        for plugin in &statistics.plugins {
            let labels = labels(name, "plugin", &plugin.name);
            totals(&plugin.stats, &labels);
            gauge!("freehold_resident_bytes", labels.iter()).set(plugin.stats.resident_bytes as f64);
            counter!("freehold_access_hits_total", labels.iter()).absolute(plugin.hits);
        }
        for at in &statistics.priorities {
            let labels = labels(name, "priority", &at.priority.to_string());
            counter!("freehold_priority_loads_total", labels.iter()).absolute(at.loads);
            counter!("freehold_priority_evictions_total", labels.iter()).absolute(at.evictions);
            counter!("freehold_priority_evicted_bytes_total", labels.iter()).absolute(at.evicted_bytes);
            gauge!("freehold_priority_resident_bytes", labels.iter()).set(at.resident.bytes as f64);
        }
        let own = [Label::new("manager", SharedString::from(name.to_owned()))];
        counter!("freehold_access_misses_total", own.iter()).absolute(statistics.misses);
        counter!("freehold_device_refusals_total", own.iter()).absolute(statistics.num_alloc_retries);
    }
}

fn labels(manager: &str, key: &'static str, value: &str) -> [Label; 2] {
    let text = |text: &str| SharedString::from(text.to_owned());
    [Label::new("manager", text(manager)), Label::new(key, text(value))]
}

fn totals(stats: &Stats, labels: &[Label; 2]) {
    counter!("freehold_loads_total", labels.iter()).absolute(stats.loads);
    counter!("freehold_load_bytes_total", labels.iter()).absolute(stats.load_bytes);
    counter!("freehold_evictions_total", labels.iter()).absolute(stats.evictions);
    counter!("freehold_evicted_bytes_total", labels.iter()).absolute(stats.evicted_bytes);
    counter!("freehold_moves_total", labels.iter()).absolute(stats.moves);
    counter!("freehold_moved_bytes_total", labels.iter()).absolute(stats.moved_bytes);
    counter!("freehold_refusals_total", labels.iter()).absolute(stats.refusals);
    counter!("freehold_spills_total", labels.iter()).absolute(stats.spills);
}

fn levels(statistics: &Statistics, name: &str) {
    let own = [Label::new("manager", SharedString::from(name.to_owned()))];
    let Statistics { admission, residency, .. } = statistics;
    gauge!("freehold_budget_bytes", own.iter()).set(admission.budget as f64);
    gauge!("freehold_charged_bytes", own.iter()).set(admission.charged as f64);
    gauge!("freehold_set_aside_bytes", own.iter()).set(admission.set_aside as f64);
    gauge!("freehold_lent_bytes", own.iter()).set(admission.lent as f64);
    gauge!("freehold_waiting", own.iter()).set(admission.waiting as f64);
    gauge!("freehold_allocations", own.iter()).set(statistics.allocation.all.current as f64);
    gauge!("freehold_allocated_bytes", own.iter()).set(statistics.allocated_bytes.all.current as f64);
    gauge!("freehold_requested_bytes", own.iter()).set(statistics.requested_bytes.all.current as f64);
    gauge!("freehold_reserved_bytes", own.iter()).set(statistics.reserved_bytes.all.current as f64);
    gauge!("freehold_free_pieces", own.iter()).set(statistics.inactive_split.all.current as f64);
    let states = [
        ("resident", residency.resident),
        ("pinned", residency.pinned),
        ("materialising", residency.materialising),
        ("evicting", residency.evicting),
        ("absent", residency.absent),
    ];
    for (state, Share { entries, bytes }) in states {
        let labels = labels(name, "state", state);
        gauge!("freehold_entries", labels.iter()).set(entries as f64);
        gauge!("freehold_entry_bytes", labels.iter()).set(bytes as f64);
    }
}
