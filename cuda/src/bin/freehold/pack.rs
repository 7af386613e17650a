//! `freehold pack`: the smallest arena in which a trace's allocations succeed, found by bisection.
//!
//! It drives the buddy that the manager has, one event after the other: no look-ahead, no second allocator. What it
//! judges is placement alone: nothing is evicted, nothing moves.

use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

use freehold_core::{Block, Buddy, Bytes, Geometry, Request};
use serde::Serialize;

use crate::args::{PackArgs, Switch, Weights};
use crate::failure::Failure;
use crate::trace::peaks::running_peak;
use crate::trace::{self, Event, Op, Trace};

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
    seconds: f64,
}

/// Packs each trace and prints its line as soon as it is known.
pub(crate) fn run(args: &PackArgs) -> Result<(), Failure> {
    if args.moves == Switch::On {
        return Err(Failure::NotBuilt { option: "--moves on", instead: "--moves off" });
    }
    let mut out = io::stdout().lock();
    for (nth, path) in args.traces.iter().enumerate() {
        let packed = pack(path, args.granule.get(), args.weights)?;
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
            let heads = ["weights", "peak live", "smallest arena", "ratio", "seconds"];
            let [weights, peak, arena, ratio, seconds] = heads;
            writeln!(out, "{:<44} {weights:>8} {peak:>16} {arena:>16} {ratio:>7} {seconds:>8}", "trace")?;
        }
        let Packed { trace, weights, peak_live_bytes, smallest_arena_bytes, ratio, seconds, .. } = self;
        writeln!(
            out,
            "{trace:<44} {weights:>8} {peak_live_bytes:>16} {smallest_arena_bytes:>16} {ratio:>7.4} {seconds:>8.2}"
        )
    }
}

fn pack(path: &Path, granule: u64, weights: Weights) -> Result<Packed, Failure> {
    let begun = Instant::now();
    let trace = trace::read_file(path)?;
    let steps = Steps::of(&trace, weights);
    let (peak_live, smallest) = (steps.peak_live(1), steps.smallest_arena(granule)?);
    Ok(Packed {
        trace: trace.name,
        weights: if weights == Weights::All { "all" } else { "none" },
        granule,
        peak_live_bytes: peak_live,
        smallest_arena_bytes: smallest,
        ratio: smallest as f64 / (peak_live as f64).max(1.0),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// What a trace does to an arena: the events that begin or end a block, and nothing else.
struct Steps {
    events: Vec<Event>,
    ids: usize,
}

impl Steps {
    fn of(trace: &Trace, weights: Weights) -> Steps {
        let mut left_out = vec![false; trace.ids];
        let mut counts = |event: &Event| {
            let is_weight = event.op == Op::Load || event.op == Op::Alloc && trace.tag(event).starts_with("w:");
            match event.op {
                Op::Share | Op::Access | Op::Begin | Op::End => return false,
                Op::Alloc | Op::Acquire | Op::Load => {
                    left_out[event.id as usize] = event.bytes == 0 || is_weight && weights == Weights::None;
                }
                Op::Free | Op::Release | Op::Unload => {}
            }
            !left_out[event.id as usize]
        };
        Steps { events: trace.events.iter().copied().filter(|event| counts(event)).collect(), ids: trace.ids }
    }

    /// The most bytes live at once, each request rounded up to `unit`.
    fn peak_live(&self, unit: u64) -> u64 {
        let rounded = |bytes: u64| bytes.checked_next_multiple_of(unit).unwrap_or(u64::MAX);
        running_peak(self.events.iter().map(|event| (event.op, rounded(event.bytes))))
    }

    /// Between the peak of live bytes, below which nothing can succeed, and the first arena found that succeeds:
    /// grown in doubling steps, then halved to one granule. Some 25 runs, and those that fail end early.
    fn smallest_arena(&self, granule: u64) -> Result<u64, Failure> {
        let floor = self.peak_live(granule);
        if floor > LARGEST_ARENA_BYTES {
            return Err(Failure::TooLargeToPack { peak: floor, limit: LARGEST_ARENA_BYTES });
        }
        let floor = (floor / granule).max(1);
        if self.fit_in(floor, granule) {
            return Ok(floor * granule);
        }
        let (mut fails, mut step) = (floor, floor.div_ceil(64));
        while !self.fit_in(floor + step, granule) {
            (fails, step) = (floor + step, step * 2);
            if (floor + step).saturating_mul(granule) > LARGEST_ARENA_BYTES {
                return Err(Failure::TooLargeToPack { peak: floor * granule, limit: LARGEST_ARENA_BYTES });
            }
        }
        let mut fits = floor + step;
        while fits - fails > 1 {
            let middle = fails + (fits - fails) / 2;
            *(if self.fit_in(middle, granule) { &mut fits } else { &mut fails }) = middle;
        }
        Ok(fits * granule)
    }

    /// Whether every request succeeds in an arena of so many granules.
    fn fit_in(&self, granules: u64, granule: u64) -> bool {
        let geometry = Geometry::new(Bytes(granules * granule), Bytes(granule));
        let buddy = Buddy::new(geometry.expect("a positive number of granules, far below 2^64 bytes"));
        let mut blocks: Vec<Option<Block>> = (0..self.ids).map(|_| None).collect();
        for event in &self.events {
            let place = &mut blocks[event.id as usize];
            if let Some(block) = place.take() {
                buddy.free(0, block);
                continue;
            }
            match buddy.allocate(0, Request::new(Bytes(event.bytes))) {
                Ok(block) => *place = Some(block),
                Err(_) => return false,
            }
        }
        true
    }
}
