//! `freehold pack`: the smallest arena in which a trace's allocations succeed, found by bisection.
//!
//! It drives the buddy that the manager has, one event after the other: no look-ahead, no second allocator. What it
//! judges is placement alone, or, with moves, placement and the planner that opens holes: nothing is evicted.

mod arena;

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use serde::Serialize;

use crate::args::{PackArgs, Switch, Weights};
use crate::failure::Failure;
use crate::trace::peaks::running_peak;
use crate::trace::{self, Event, Op, Trace};
use arena::Arena;

/// Above this no card is near, and the arena's own bookkeeping would fill this machine.
const LARGEST_ARENA_BYTES: u64 = 1 << 46;

/// One trace's result, as `--json` prints it.
#[derive(Debug, Serialize)]
struct Packed {
    trace: String,
    weights: &'static str,
    granule: u64,
    peak_live_bytes: u64,
    smallest_arena_bytes: u64,
    ratio: f64,
    /// What opening holes would have copied, in the smallest arena; only where moves were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    moved_bytes: Option<u64>,
    seconds: f64,
}

/// Packs each trace and prints its line as soon as it is known.
pub(crate) fn run(args: &PackArgs) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    for (nth, path) in args.traces.iter().enumerate() {
        let packed = pack(path, args)?;
        if args.json {
            writeln!(out, "{}", serde_json::to_string(&packed).map_err(io::Error::from)?)?;
        } else {
            packed.write_row(nth == 0, &mut out)?;
        }
    }
    Ok(())
}

impl Packed {
    /// A line for a person, the first with the heads above it.
    fn write_row(&self, first: bool, out: &mut impl Write) -> io::Result<()> {
        if first {
            let heads = ["weights", "peak live", "smallest arena", "ratio", "moved", "seconds"];
            let [weights, peak, arena, ratio, moved, seconds] = heads;
            writeln!(out, "{:<44} {weights:>8} {peak:>14} {arena:>14} {ratio:>7} {moved:>14} {seconds:>8}", "trace")?;
        }
        let Packed { trace, weights, peak_live_bytes, smallest_arena_bytes, ratio, seconds, .. } = self;
        let moved = self.moved_bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        write!(out, "{trace:<44} {weights:>8} {peak_live_bytes:>14} {smallest_arena_bytes:>14} ")?;
        writeln!(out, "{ratio:>7.4} {moved:>14} {seconds:>8.2}")
    }
}

fn pack(path: &Path, args: &PackArgs) -> Result<Packed, Failure> {
    let (begun, granule) = (Instant::now(), args.granule.get());
    let trace = trace::read_file(path)?;
    let steps = Steps::of(&trace, args);
    let (peak_live, smallest) = (steps.peak_live(1), steps.smallest_arena(granule)?);
    Ok(Packed {
        trace: trace.name,
        weights: if args.weights == Weights::All { "all" } else { "none" },
        granule,
        peak_live_bytes: peak_live,
        smallest_arena_bytes: smallest.bytes,
        // A trace with no bytes fits into anything: the one granule that an arena has at least is no waste.
        ratio: if peak_live == 0 { 1.0 } else { smallest.bytes as f64 / peak_live as f64 },
        moved_bytes: steps.moves.then_some(smallest.moved_bytes),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// An arena in which everything found its place.
#[derive(Clone, Copy)]
struct Fit {
    bytes: u64,
    moved_bytes: u64,
}

/// What a trace does to an arena: the events that begin or end a block, and nothing else.
struct Steps {
    events: Vec<Event>,
    ids: usize,
    moves: bool,
}

impl Steps {
    fn of(trace: &Trace, args: &PackArgs) -> Steps {
        let mut left_out = vec![false; trace.ids];
        let mut counts = |event: &Event| {
            let is_weight = event.op == Op::Load || event.op == Op::Alloc && trace.tag(event).starts_with("w:");
            match event.op {
                Op::Share | Op::Access | Op::Begin | Op::End => return false,
                Op::Alloc | Op::Acquire | Op::Load => {
                    left_out[event.id as usize] = event.bytes == 0 || is_weight && args.weights == Weights::None;
                }
                Op::Free | Op::Release | Op::Unload => {}
            }
            !left_out[event.id as usize]
        };
        let events = trace.events.iter().copied().filter(|event| counts(event)).collect();
        Steps { events, ids: trace.ids, moves: args.moves == Switch::On }
    }

    /// The most bytes live at once, each request rounded up to `unit`.
    fn peak_live(&self, unit: u64) -> u64 {
        let rounded = |bytes: u64| bytes.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
        running_peak(self.events.iter().map(|event| (event.op, rounded(event.bytes))))
    }

    /// Between the peak of live bytes, below which nothing can succeed, and the first arena found that succeeds:
    /// grown in doubling steps, then halved to one granule. Some 25 runs, and those that fail end early.
    fn smallest_arena(&self, granule: u64) -> Result<Fit, Failure> {
        let peak = self.peak_live(granule);
        let check = |granules: u64| match granules.saturating_mul(granule) <= LARGEST_ARENA_BYTES {
            true => Ok(granules),
            false => Err(Failure::TooLargeToPack { peak, limit: LARGEST_ARENA_BYTES }),
        };
        let floor = check((peak / granule).max(1))?;
        if let Some(fit) = self.fit_in(floor, granule) {
            return Ok(fit);
        }
        let (mut fails, mut step) = (floor, floor.div_ceil(64));
        let mut best = loop {
            match self.fit_in(check(floor + step)?, granule) {
                Some(fit) => break fit,
                None => (fails, step) = (floor + step, step * 2),
            }
        };
        while best.bytes / granule - fails > 1 {
            let middle = fails + (best.bytes / granule - fails) / 2;
            match self.fit_in(middle, granule) {
                Some(fit) => best = fit,
                None => fails = middle,
            }
        }
        Ok(best)
    }

    /// An arena of so many granules, if every request succeeds in it.
    fn fit_in(&self, granules: u64, granule: u64) -> Option<Fit> {
        let mut arena = Arena::new(granules, granule, self.ids, self.moves);
        for event in &self.events {
            if event.op.ends() {
                arena.end(event.id);
            } else if !arena.begin(event.id, event.bytes) {
                return None;
            }
        }
        Some(Fit { bytes: granules * granule, moved_bytes: arena.moved_bytes() })
    }
}
