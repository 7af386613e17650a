//! Every number under a key of its own: `torch.cuda.memory_stats`, and what PyTorch has no word for.

use super::statistics::{Quantity, Share, Statistics};
use crate::plugin::Stats;
use std::collections::BTreeMap;

type Flat = BTreeMap<String, i64>;

pub(super) fn flat(mut statistics: Statistics) -> Flat {
    let mut flat = Flat::new();
    for (name, by_pool) in statistics.by_pool() {
        quantity(&mut flat, &format!("{name}.all"), by_pool.all);
        quantity(&mut flat, &format!("{name}.large_pool"), by_pool.large_pool);
        quantity(&mut flat, &format!("{name}.small_pool"), by_pool.small_pool);
    }
    // There is no size from which on blocks are not split, so nothing is oversize: as PyTorch says it.
    quantity(&mut flat, "oversize_allocations", Quantity::default());
    quantity(&mut flat, "oversize_segments", Quantity::default());
    put(
        &mut flat,
        "",
        &[
            ("num_alloc_retries", statistics.num_alloc_retries),
            ("num_ooms", statistics.num_ooms),
            ("num_device_alloc", statistics.num_device_alloc),
            ("num_device_free", statistics.num_device_free),
            ("num_sync_all_streams", statistics.num_device_free), // each region that goes is waited for
        ],
    );
    flat.insert("max_split_size".into(), -1);
    ours(&mut flat, &statistics);
    flat
}

fn ours(flat: &mut Flat, statistics: &Statistics) {
    totals(flat, "freehold", &statistics.totals);
    put(flat, "freehold.accesses", &[("hits", statistics.hits), ("misses", statistics.misses)]);
    let Statistics { residency, admission, .. } = statistics;
    let places = [
        ("resident", residency.resident),
        ("pinned", residency.pinned),
        ("materialising", residency.materialising),
        ("evicting", residency.evicting),
        ("absent", residency.absent),
        ("spilled", residency.spilled),
        ("fixed", residency.fixed),
        ("shared", residency.shared),
    ];
    places.iter().for_each(|(name, share)| entries(flat, &format!("freehold.residency.{name}"), *share));
    put(
        flat,
        "freehold.admission",
        &[
            ("budget_bytes", admission.budget),
            ("charged_bytes", admission.charged),
            ("set_aside_bytes", admission.set_aside),
            ("lent_bytes", admission.lent),
            ("waiting", admission.waiting),
        ],
    );
    for plugin in &statistics.plugins {
        let name = format!("freehold.plugin.{}", plugin.name);
        totals(flat, &name, &plugin.stats);
        put(flat, &format!("{name}.accesses"), &[("hits", plugin.hits)]);
    }
    for at in &statistics.priorities {
        let name = format!("freehold.priority.{}", at.priority);
        entries(flat, &format!("{name}.known"), at.entries);
        entries(flat, &format!("{name}.resident"), at.resident);
        put(
            flat,
            &name,
            &[
                ("loads", at.loads),
                ("load_bytes", at.load_bytes),
                ("evictions", at.evictions),
                ("evicted_bytes", at.evicted_bytes),
                ("moves", at.moves),
                ("moved_bytes", at.moved_bytes),
            ],
        );
    }
}

fn totals(flat: &mut Flat, prefix: &str, stats: &Stats) {
    put(
        flat,
        prefix,
        &[
            ("loads", stats.loads),
            ("load_bytes", stats.load_bytes),
            ("evictions", stats.evictions),
            ("evicted_bytes", stats.evicted_bytes),
            ("moves", stats.moves),
            ("moved_bytes", stats.moved_bytes),
            ("refusals", stats.refusals),
            ("spills", stats.spills),
            ("spilled_bytes.current", stats.spilled_bytes),
            ("spilled_bytes.peak", stats.peak_spilled_bytes),
            ("resident_bytes.current", stats.resident_bytes),
            ("resident_bytes.peak", stats.peak_resident_bytes),
        ],
    );
}

fn entries(flat: &mut Flat, prefix: &str, share: Share) {
    put(flat, prefix, &[("entries", share.entries), ("bytes", share.bytes)]);
}

fn quantity(flat: &mut Flat, prefix: &str, quantity: Quantity) {
    let Quantity { current, peak, allocated, freed } = quantity;
    put(flat, prefix, &[("current", current), ("peak", peak), ("allocated", allocated), ("freed", freed)]);
}

fn put(flat: &mut Flat, prefix: &str, numbers: &[(&str, u64)]) {
    for &(name, number) in numbers {
        let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        flat.insert(key, i64::try_from(number).unwrap_or(i64::MAX));
    }
}
