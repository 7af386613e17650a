//! What a replay found, for a person to read.

use std::io::{self, Write};

use indicatif::{HumanBytes, HumanCount};

use super::Outcome;
use super::latency::Tail;

/// Prints the table: who used what, how full the card was, how long calls took, how much was checked.
pub(super) fn write(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let (report, details) = (&outcome.report, &outcome.details);
    writeln!(
        out,
        "{} on {}, at 1/{} of its size: {} events in {:.2} s, policy {}\n",
        report.trace,
        report.device,
        report.scale,
        HumanCount(report.events),
        report.seconds,
        report.policy
    )?;
    plugins(outcome, out)?;
    let share = 100.0 * report.peak_resident_bytes as f64 / report.budget_bytes as f64;
    let (peak, budget) = (HumanBytes(report.peak_resident_bytes), HumanBytes(report.budget_bytes));
    writeln!(out, "\nresident         at most {peak} of a budget of {budget} ({share:.1}%)")?;
    if report.admission_bytes > 0 {
        let (peak, pool) = (HumanBytes(report.peak_admitted_bytes), HumanBytes(report.admission_bytes));
        writeln!(out, "admitted         at most {peak} of a pool of {pool}, {} jobs too large", report.too_large)?;
        let wait = report.wait_ns;
        writeln!(out, "waited           p50 {}, p99 {}, at most {}", ns(wait.p50), ns(wait.p99), ns(wait.max))?;
        let large = details.wait_large_ns;
        let (p50, p99, max) = (ns(large.p50), ns(large.p99), ns(large.max));
        writeln!(
            out,
            "  the large      p50 {p50}, p99 {p99}, at most {max}, of jobs of a quarter of the pool or more"
        )?;
    }
    writeln!(out, "allocate         {}", tail(report.allocate_ns))?;
    writeln!(out, "access, resident {}", tail(report.access_resident_ns))?;
    writeln!(
        out,
        "checked          {} tensors, {} of their bytes: {} wrong",
        HumanCount(details.checks),
        HumanBytes(details.checked_bytes),
        report.mismatches
    )?;
    writeln!(
        out,
        "refused          {} of {} allocations and accesses",
        report.refused,
        HumanCount(report.allocations + report.accesses)
    )?;
    if report.moves > 0 {
        writeln!(out, "moved            {} blocks, {}", HumanCount(report.moves), HumanBytes(report.moved_bytes))?;
    }
    if let Some(prefetch) = report.prefetch {
        writeln!(
            out,
            "ahead            {} loads, {}; waited for {}, {}",
            HumanCount(prefetch.loads),
            HumanBytes(prefetch.load_bytes),
            HumanCount(prefetch.waited_loads),
            HumanBytes(prefetch.waited_load_bytes)
        )?;
    }
    if let Some(floor) = report.floor {
        let (evicted, under) = (HumanCount(floor.evicted_from_below), floor.under);
        writeln!(out, "from below       {evicted} evictions of who ranked higher than who asked, floor {under}")?;
    }
    if report.priority_inversions > 0 {
        writeln!(out, "out of order     {} evictions of a higher priority", report.priority_inversions)?;
    }
    Ok(())
}

fn plugins(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    let heads = ["weights", "allocated", "accesses", "loads", "loaded", "evictions", "evicted"];
    write!(out, "{:<16}", "plugin")?;
    heads.iter().try_for_each(|head| write!(out, " {head:>12}"))?;
    writeln!(out)?;
    for row in &outcome.details.plugins {
        let stats = &row.stats;
        let cells = [
            HumanBytes(row.weight_bytes).to_string(),
            HumanBytes(row.block_bytes).to_string(),
            HumanCount(row.accesses).to_string(),
            HumanCount(stats.loads).to_string(),
            HumanBytes(stats.load_bytes).to_string(),
            HumanCount(stats.evictions).to_string(),
            HumanBytes(stats.evicted_bytes).to_string(),
        ];
        write!(out, "{:<16}", row.name)?;
        cells.iter().try_for_each(|cell| write!(out, " {cell:>12}"))?;
        writeln!(out)?;
    }
    Ok(())
}

fn tail(tail: Tail) -> String {
    format!("p50 {}, p99 {}, p99.9 {}, at most {}", ns(tail.p50), ns(tail.p99), ns(tail.p999), ns(tail.max))
}

/// A duration in the unit that leaves at most four digits before the point.
fn ns(nanoseconds: u64) -> String {
    match nanoseconds {
        0..10_000 => format!("{nanoseconds} ns"),
        10_000..10_000_000 => format!("{:.1} us", nanoseconds as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} ms", nanoseconds as f64 / 1e6),
        _ => format!("{:.1} s", nanoseconds as f64 / 1e9),
    }
}
