//! Turns taken in rounds: every contender does a little of the same work, then all again, in one process.
//!
//! On a machine that others use too, what is measured a minute apart cannot be compared. Here each round puts the contenders
//! within milliseconds of one another, begins with another one each time, and the minimum and the median over the rounds
//! are what counts. Ratios are ratios of medians.

use std::time::Duration;

use criterion::Criterion;

use crate::report;
use crate::workload::{Lane, Measured};

/// One kind of work: its name, and what makes everybody's lane at it, fresh.
pub type Workload = (String, Box<dyn Fn() -> Vec<Lane>>);

/// What one contender showed at one kind of work.
#[derive(Clone, Debug)]
pub struct Result {
    /// The contender.
    pub contender: String,
    /// The best round.
    pub min_ns: f64,
    /// The round in the middle.
    pub median_ns: f64,
    /// The share of requests that were refused, over all rounds.
    pub refused: f64,
    /// The share of rounds that stayed disturbed however often they were taken again: a busy machine.
    pub disturbed: f64,
}

/// One kind of work, and what all showed at it.
#[derive(Clone, Debug)]
pub struct Row {
    /// The kind of work, as the tables name it.
    pub workload: String,
    /// In the order of the lanes.
    pub results: Vec<Result>,
}

/// How often a disturbed turn is taken again.
const TRIES: usize = 5;

/// So many undisturbed rounds have a median.
const ENOUGH: usize = 5;

/// How long a lane's turn should take: short, so that on a busy machine most turns are not interrupted.
const TURN: Duration = Duration::from_micros(1500);

/// A bench's whole life: criterion's measurements, then the rounds, then the table and the record.
pub fn measure(bench: &str, mut workloads: Vec<Workload>) {
    workloads.retain(|(name, _)| report::wanted(name));
    if report::criterion_wanted() {
        let mut criterion = Criterion::default()
            .warm_up_time(Duration::from_millis(100))
            .measurement_time(Duration::from_millis(400))
            .sample_size(20)
            .configure_from_args();
        workloads.iter().for_each(|(name, lanes)| by_criterion(&mut criterion, name, &mut lanes()));
        criterion.final_summary();
    }
    if report::rounds() > 0 {
        let rows: Vec<Row> = workloads.iter().map(|(name, lanes)| in_rounds(name, &mut lanes())).collect();
        report::record(bench, &report::csv(&rows));
    }
}

/// The rounds of one kind of work, each turn as many pairs as fit in a millisecond or two. Prints its table.
fn in_rounds(workload: &str, lanes: &mut [Lane]) -> Row {
    let pairs: Vec<u64> = lanes.iter_mut().map(calibrate).collect();
    let mut turns: Vec<Vec<Measured>> = vec![Vec::new(); lanes.len()];
    for round in 0..report::rounds() {
        for step in 0..lanes.len() {
            let index = (round + step) % lanes.len();
            turns[index].push(turn(&mut lanes[index], pairs[index]));
        }
    }
    let results = lanes.iter().zip(&mut turns).map(|(lane, turns)| summary(&lane.contender, turns)).collect();
    let row = Row { workload: workload.to_owned(), results };
    print!("{}", report::table(&row));
    row
}

/// The same lanes one after the other, by criterion, which has its own statistics and remembers the last run.
fn by_criterion(criterion: &mut Criterion, workload: &str, lanes: &mut [Lane]) {
    let mut group = criterion.benchmark_group(workload);
    for lane in lanes {
        group.bench_function(&lane.contender, |bencher| {
            bencher.iter_custom(|pairs| Duration::from_nanos((pairs as f64 * (lane.turn)(pairs).ns) as u64));
        });
    }
    group.finish();
}

/// A turn that was not disturbed, or the last of some that were.
fn turn(lane: &mut Lane, pairs: u64) -> Measured {
    let mut measured = (lane.turn)(pairs);
    for _ in 1..TRIES {
        if !measured.disturbed {
            break;
        }
        measured = (lane.turn)(pairs);
    }
    measured
}

/// How many pairs a thread does in a turn.
fn calibrate(lane: &mut Lane) -> u64 {
    let once_ns = (lane.turn)(2048).ns.max(0.5) * lane.threads as f64;
    ((TURN.as_nanos() as f64 / once_ns) as u64).clamp(1024, 1 << 20)
}

/// Rounds that stayed disturbed count only where hardly any other is left.
fn summary(contender: &str, turns: &mut [Measured]) -> Result {
    let mean = |share: fn(&Measured) -> f64| turns.iter().map(share).sum::<f64>() / turns.len() as f64;
    let (refused, disturbed) = (mean(|turn| turn.refused), mean(|turn| f64::from(u8::from(turn.disturbed))));
    turns.sort_by(|one, other| (one.disturbed, one.ns).partial_cmp(&(other.disturbed, other.ns)).expect("numbers"));
    let calm = turns.iter().filter(|turn| !turn.disturbed).count();
    let counted = if calm >= ENOUGH { &mut turns[..calm] } else { turns };
    counted.sort_by(|one, other| one.ns.total_cmp(&other.ns));
    let (min_ns, median_ns) = (counted[0].ns, counted[counted.len() / 2].ns);
    Result { contender: contender.to_owned(), min_ns, median_ns, refused, disturbed }
}
