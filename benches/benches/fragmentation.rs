//! How much of an arena can be used: until the first refusal, under churn, and for recorded work.
//!
//! Nothing is timed. Sizes of *until refused* and *churn* are exact, from 4 KiB to 16 MiB, evenly in their logarithm, in 1 GiB of
//! 4 KiB granules: allocate until the first refusal; then free one at random and allocate until the next, many times. What
//! counts is the bytes asked for over the arena's, and the mean over seeds. *Traces* are replayed in ever smaller arenas: what
//! counts is the smallest in which nothing is refused, over the peak of live bytes.
//!
//! First every contender is shown not to hand out a byte twice. [`freehold_benches::report`] has the variables.

use std::fmt::Write as _;
use std::path::Path;

use freehold_benches::contender::{Allocator, Alone, Contender, Shape};
use freehold_benches::freehold::Freehold;
use freehold_benches::peers::{BuddySystem, FrameAlloc, OffsetAllocator, RangeAlloc, Rlsf, Xalloc};
use freehold_benches::random::{Random, Sizes};
use freehold_benches::trace::{Event, Trace};
use freehold_benches::{report, shadow};

const SIZES: Sizes = Sizes::Exact(4 << 10, 16 << 20);
const SEEDS: u64 = 8;
const REFUSALS: usize = 1000;
const TRACES: [&str; 3] = ["mix_cut", "mm_frontend_cut", "real_bcrafton_memory_snapshot_06f5"];

/// A share of the arena at the first refusal, and the mean of the shares at many later ones.
#[derive(Clone, Copy)]
struct Used {
    first: f64,
    churn: f64,
}

fn used<C: Contender>(seed: u64) -> Used {
    let shape = Shape::gib(4096);
    let (arena, mut random) = (C::new(shape), Random::new(seed));
    let mut seat = arena.seat(0);
    let (mut live, mut live_bytes, mut shares) = (Vec::new(), 0, Vec::new());
    while shares.len() < REFUSALS {
        let bytes = SIZES.draw(&mut random);
        if let Some(block) = seat.allocate(bytes) {
            live_bytes += bytes;
            live.push((bytes, block));
            continue;
        }
        shares.push(live_bytes as f64 / shape.arena as f64);
        let (bytes, block) = live.swap_remove(random.below(live.len()));
        live_bytes -= bytes;
        seat.free(block);
    }
    // The first half of the churn is on its way to the steady state.
    let steady = &shares[REFUSALS / 2..];
    Used { first: shares[0], churn: steady.iter().sum::<f64>() / steady.len() as f64 }
}

/// Whether every block of a trace finds its place in so many bytes.
fn fits<C: Contender>(trace: &Trace, shape: Shape) -> bool {
    let arena = C::new(shape);
    let mut seat = arena.seat(0);
    let mut blocks: Vec<Option<C::Block>> = (0..trace.blocks).map(|_| None).collect();
    for event in &trace.events {
        match *event {
            Event::Begin(block, bytes) => match seat.allocate(bytes) {
                Some(place) => blocks[block] = Some(place),
                None => return false,
            },
            Event::End(block) => seat.free(blocks[block].take().expect("it began")),
        }
    }
    true
}

/// The smallest arena over the peak, to a thousandth, or nothing where four times the peak is not enough. Some ten replays.
fn smallest<C: Contender>(trace: &Trace) -> Option<f64> {
    let granule = 512;
    let shape = |thousandths: u64| {
        let arena = (u128::from(trace.peak_bytes) * u128::from(thousandths) / 1000) as u64;
        Shape { arena: arena.next_multiple_of(granule), granule }
    };
    let (mut fails, mut fitting) = (999, 1001);
    // Bounded: the step doubles.
    while !fits::<C>(trace, shape(fitting)) {
        (fails, fitting) = (fitting, fitting + 2 * (fitting - fails));
        if fitting > 4000 {
            return None;
        }
    }
    while fitting - fails > 1 {
        let middle = fails.midpoint(fitting);
        if fits::<C>(trace, shape(middle)) { fitting = middle } else { fails = middle }
    }
    Some(fitting as f64 / 1000.0)
}

/// One contender's line in both tables.
struct Line {
    contender: &'static str,
    used: Used,
    traces: Vec<Option<f64>>,
}

fn line<C: Contender>(traces: &[Trace]) -> Line {
    shadow::verify_alone::<C>();
    let seeds: Vec<Used> = (0..SEEDS).map(used::<C>).collect();
    let mean = |share: fn(&Used) -> f64| seeds.iter().map(share).sum::<f64>() / seeds.len() as f64;
    let used = Used { first: mean(|used| used.first), churn: mean(|used| used.churn) };
    Line { contender: C::NAME, used, traces: traces.iter().map(smallest::<C>).collect() }
}

fn main() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/traces");
    let read = |name: &str| folder.join(format!("{name}.csv.zst"));
    let traces: Vec<Trace> =
        TRACES.map(read).iter().filter(|path| path.exists()).map(|path| Trace::read(path)).collect();
    // A trace has tensors of gigabytes: 26 orders.
    let lines = [
        line::<Freehold>(&traces),
        line::<FrameAlloc<26>>(&traces),
        line::<Alone<Xalloc>>(&traces),
        line::<Alone<OffsetAllocator>>(&traces),
        line::<Alone<Rlsf>>(&traces),
        line::<Alone<BuddySystem>>(&traces),
        line::<Alone<RangeAlloc>>(&traces),
    ];
    let mut csv = String::from("contender,until_refused,churn");
    traces.iter().for_each(|trace| _ = write!(csv, ",{}", trace.name));
    for Line { contender, used, traces } in &lines {
        _ = write!(csv, "\n{contender},{:.4},{:.4}", used.first, used.churn);
        traces.iter().for_each(|ratio| {
            _ = write!(csv, ",{}", ratio.map_or("more than 4".to_owned(), |ratio| format!("{ratio:.3}")))
        });
    }
    csv.push('\n');
    report::columns(&csv);
    report::record("fragmentation", &csv);
}
