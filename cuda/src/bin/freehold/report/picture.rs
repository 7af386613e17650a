//! The picture: everything that the page shows, as one JSON object. Its totals are the replay's own (`--json`), so what the
//! columns sum up to can be held against them.

use indicatif::HumanBytes;
use serde::Serialize;

use super::columns::Series;
use super::groups::{Group, Groups};
use super::hindsight::{Hindsight, Weight};
use super::{raster, refusals};
use crate::replay::{Latency, Outcome, Report};

/// As many weights as fit on a screen.
const DEAREST: usize = 12;

/// What a recorder gathered.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(super) groups: Vec<String>,
    pub(super) series: Series,
    pub(super) raster: raster::Picture,
    pub(super) dearest: Vec<Dear>,
    pub(super) refusals: Vec<refusals::Row>,
}

/// All that is on the page.
#[derive(Debug, Serialize)]
pub(crate) struct Picture<'o> {
    version: &'static str,
    totals: &'o Report,
    /// By group: the index is what the rest calls it.
    groups: &'o [String],
    plugins: Vec<Plugin<'o>>,
    columns: &'o Series,
    raster: &'o raster::Picture,
    latency: Vec<Histogram>,
    dearest: &'o [Dear],
    refusals: &'o [refusals::Row],
}

/// One plugin's line.
#[derive(Debug, Serialize)]
struct Plugin<'o> {
    name: &'o str,
    weight_bytes: u64,
    block_bytes: u64,
    accesses: u64,
    loads: u64,
    load_bytes: u64,
    evictions: u64,
    evicted_bytes: u64,
}

/// A weight that was uploaded more than once.
#[derive(Debug, Serialize)]
pub(super) struct Dear {
    label: String,
    group: Group,
    bytes: u64,
    uploads: u64,
    needless: u64,
    shortest: Option<u64>,
}

/// How long the calls of one kind took.
#[derive(Debug, Serialize)]
struct Histogram {
    name: &'static str,
    count: u64,
    p50: u64,
    p99: u64,
    p999: u64,
    max: u64,
    /// From how many nanoseconds on, and how many calls; up to the next that is listed or could be.
    buckets: Vec<(u64, u64)>,
}

impl Gathered {
    pub(super) fn dearest(hindsight: &Hindsight, groups: &Groups) -> Vec<Dear> {
        let dear = |weight: &Weight| Dear {
            label: weight.label.to_string(),
            group: groups.group(&weight.plugin),
            bytes: weight.bytes,
            uploads: weight.uploads,
            needless: weight.needless,
            shortest: weight.shortest,
        };
        hindsight.dearest(DEAREST).into_iter().map(dear).collect()
    }
}

impl<'o> Picture<'o> {
    /// Puts what was gathered and what was counted together.
    pub(crate) fn of(outcome: &'o Outcome, gathered: &'o Gathered) -> Picture<'o> {
        let plugin = |row: &'o crate::replay::PluginRow| Plugin {
            name: &row.name,
            weight_bytes: row.weight_bytes,
            block_bytes: row.block_bytes,
            accesses: row.accesses,
            loads: row.stats.loads,
            load_bytes: row.stats.load_bytes,
            evictions: row.stats.evictions,
            evicted_bytes: row.stats.evicted_bytes,
        };
        Picture {
            version: env!("CARGO_PKG_VERSION"),
            totals: &outcome.report,
            groups: &gathered.groups,
            plugins: outcome.details.plugins.iter().map(plugin).collect(),
            columns: &gathered.series,
            raster: &gathered.raster,
            latency: outcome.details.latencies.iter().map(Histogram::of).collect(),
            dearest: &gathered.dearest,
            refusals: &gathered.refusals,
        }
    }

    /// What the browser's tab says.
    pub(super) fn title(&self) -> String {
        format!("{}, {} in {}", self.totals.trace, self.totals.policy, HumanBytes(self.totals.budget_bytes))
    }
}

impl Histogram {
    fn of((name, latency): &(&'static str, Latency)) -> Histogram {
        let tail = latency.tail();
        let buckets = latency.buckets();
        let count = buckets.iter().map(|(_, count)| count).sum();
        Histogram { name, count, p50: tail.p50, p99: tail.p99, p999: tail.p999, max: tail.max, buckets }
    }
}
