//! What a replay found, as `--json` prints it: a contract, field by field, in this order.

use std::io::{self, Write};
use std::time::Duration;

use freehold_cuda::Stats;
use serde::Serialize;

use super::Outcome;
use super::latency::{Latency, Tail, Waits};
use super::meter::Meter;
use super::world::World;
use crate::args::{Floor, Policy, ReplayArgs};
use crate::trace::{Event, Op};

/// One replay. Byte figures are what the manager saw, after scaling.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) trace: String,
    pub(crate) device: String,
    pub(crate) policy: &'static str,
    pub(crate) scale: u64,
    pub(crate) budget_bytes: u64,
    pub(crate) events: u64,
    pub(crate) allocations: u64,
    pub(crate) accesses: u64,
    pub(crate) loads: u64,
    pub(crate) load_bytes: u64,
    pub(crate) evictions: u64,
    pub(crate) evicted_bytes: u64,
    pub(crate) moves: u64,
    pub(crate) moved_bytes: u64,
    pub(crate) refused: u64,
    pub(crate) too_large: u64,
    pub(crate) mismatches: u64,
    pub(crate) priority_inversions: u64,
    pub(crate) admission_bytes: u64,
    pub(crate) peak_admitted_bytes: u64,
    pub(crate) peak_resident_bytes: u64,
    pub(crate) wait_ns: Waits,
    pub(crate) allocate_ns: Tail,
    pub(crate) access_resident_ns: Tail,
    pub(crate) seconds: f64,
    /// Where `--prefetch` was given, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) prefetch: Option<Prefetched>,
    /// Where `--floor` was given, and only there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) floor: Option<Floored>,
}

/// Whom a request might evict, and how often one evicted somebody who ranked higher.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floored {
    pub(crate) under: &'static str,
    pub(crate) evicted_from_below: u64,
}

/// What came ahead of its use, and what somebody had to wait for. Both are part of the loads.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Prefetched {
    pub(crate) ahead_bytes: u64,
    pub(crate) loads: u64,
    pub(crate) load_bytes: u64,
    pub(crate) waited_loads: u64,
    pub(crate) waited_load_bytes: u64,
}

/// What a person wants to know besides.
#[derive(Debug)]
pub(crate) struct Details {
    /// How long jobs waited that asked for a quarter of the admission pool or more.
    pub(super) wait_large_ns: Waits,
    pub(crate) plugins: Vec<PluginRow>,
    /// How long calls took, by what they were.
    pub(crate) latencies: [(&'static str, Latency); 4],
    /// Tensors looked at, and bytes compared.
    pub(crate) checks: u64,
    pub(crate) checked_bytes: u64,
    /// The first few mismatches, in words.
    pub(crate) complaints: Vec<String>,
}

/// One plugin's line of the table.
#[derive(Debug)]
pub(crate) struct PluginRow {
    pub(crate) name: String,
    pub(crate) weight_bytes: u64,
    pub(crate) block_bytes: u64,
    pub(crate) accesses: u64,
    pub(crate) stats: Stats,
}

impl Report {
    pub(super) fn write_json(&self, out: &mut impl Write) -> io::Result<()> {
        writeln!(out, "{}", serde_json::to_string(self)?)
    }
}

/// Looks a last time, lets everything go, and sees whether the books close.
pub(super) fn finish(world: World<'_>, mut meter: Meter, args: &ReplayArgs, device: String, took: Duration) -> Outcome {
    world.check_the_living(&mut meter);
    let plugins = plugin_rows(&world);
    let gathered = world.recorder.as_ref().map(|recorder| recorder.finish(&world.manager));
    let (stats, inversions) = (world.manager.stats(), world.watch.inversions());
    let evicted_from_below = world.watch.evicted_from_below();
    let (admission_bytes, peak_admitted_bytes) = world.admission.figures();
    let (trace, setup) = (world.trace, world.setup);
    world.close(&mut meter);
    let count = |ops: &[Op]| trace.events.iter().filter(|event| ops.contains(&event.op)).count() as u64;
    let report = Report {
        trace: trace.name.clone(),
        device,
        policy: match args.policy {
            Policy::Lru => "lru",
            Policy::NextUse => "next-use",
            Policy::Offline => "offline",
        },
        scale: setup.scale.0.get(),
        budget_bytes: setup.budget.get(),
        events: trace.events.len() as u64,
        allocations: count(&[Op::Alloc, Op::Acquire]),
        accesses: count(&[Op::Access]),
        loads: stats.loads,
        load_bytes: stats.load_bytes,
        evictions: stats.evictions,
        evicted_bytes: stats.evicted_bytes,
        moves: stats.moves,
        moved_bytes: stats.moved_bytes,
        refused: meter.refused,
        too_large: meter.too_large,
        mismatches: meter.mismatches,
        priority_inversions: inversions,
        admission_bytes,
        peak_admitted_bytes,
        peak_resident_bytes: stats.peak_resident_bytes,
        wait_ns: meter.wait.waits(),
        allocate_ns: meter.allocate.tail(),
        access_resident_ns: meter.access_resident.tail(),
        seconds: took.as_secs_f64(),
        prefetch: setup.prefetch.map(|ahead| Prefetched {
            ahead_bytes: ahead.get(),
            loads: stats.prefetches,
            load_bytes: stats.prefetched_bytes,
            waited_loads: stats.loads - stats.prefetches,
            waited_load_bytes: stats.load_bytes - stats.prefetched_bytes,
        }),
        floor: setup.floor.map(|floor| Floored {
            under: match floor {
                Floor::None => "none",
                Floor::Requester => "requester",
            },
            evicted_from_below,
        }),
    };
    let wait_large_ns = meter.wait_large.waits();
    let Meter { checks, checked_bytes, complaints, .. } = meter;
    let latencies = [
        ("allocate", meter.allocate),
        ("access, resident", meter.access_resident),
        ("access, brought back first", meter.access_absent),
        ("wait for admission", meter.wait),
    ];
    Outcome {
        report,
        details: Details { plugins, latencies, wait_large_ns, checks, checked_bytes, complaints },
        gathered,
    }
}

fn plugin_rows(world: &World<'_>) -> Vec<PluginRow> {
    let sum = |thread: u16, size: &dyn Fn(&Event) -> u64| {
        world.trace.events.iter().filter(|event| event.thread == thread).map(size).fold(0, u64::saturating_add)
    };
    let bytes =
        |event: &Event, ops: &[Op]| if ops.contains(&event.op) { world.setup.scale.size(event.bytes) } else { 0 };
    let row = |(thread, plugin): (u16, &freehold_cuda::Plugin)| PluginRow {
        name: plugin.name().to_owned(),
        weight_bytes: sum(thread, &|event| bytes(event, &[Op::Load, Op::Share])),
        block_bytes: sum(thread, &|event| bytes(event, &[Op::Alloc, Op::Acquire])),
        accesses: sum(thread, &|event| u64::from(event.op == Op::Access)),
        stats: plugin.stats(),
    };
    (0..).zip(&world.plugins).map(row).collect()
}
