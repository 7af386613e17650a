//! The loop that is the same for all contenders: what the engine does in a step, what the other plugin does meanwhile, and
//! what is measured.

use hdrhistogram::Histogram;
use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

const KIB: u64 = 1 << 10;

/// Sizes and times. All bytes of a weight follow from its number.
#[derive(Debug)]
pub(crate) struct Plan {
    steps: u32,
    period: Duration,
    deadline: Duration,
    /// The engine's weights, then the other plugin's.
    pub(crate) weights: Vec<Arc<[u8]>>,
    /// So many of them are the engine's.
    own: usize,
}

impl Plan {
    /// Room for the engine, what its sequences may take, and a part of the other plugin's weights.
    pub(crate) const BUDGET: u64 = 40 << 20;
    /// What sequences and scratch space may take: nobody else is to be there when a step wants it.
    pub(crate) const HEADROOM: u64 = 14 << 20;

    const SEQUENCES: usize = 8;
    const LONGEST: usize = 12;
    const BLOCK: u64 = 128 * KIB;
    /// No powers of two, as in engines.
    const SCRATCH: [u64; 3] = [37 * KIB, 150 * KIB, 93 * KIB];

    pub(crate) fn new(steps: u32, period: Duration, deadline: Duration) -> Plan {
        let sizes = [vec![256 * KIB; 48], vec![1024 * KIB; 40]].concat();
        let content =
            |(number, bytes): (usize, u64)| (0..bytes).map(|at| (at ^ (at >> 9)) as u8 ^ number as u8).collect();
        Plan { steps, period, deadline, weights: sizes.into_iter().enumerate().map(content).collect(), own: 48 }
    }

    /// Who has a deadline is more important than who has none: its weights leave last.
    pub(crate) fn priority(&self, weight: usize) -> i32 {
        i32::from(weight < self.own)
    }
}

/// What is measured: somebody who manages one device's memory.
pub(crate) trait Memory: Sync {
    /// Memory that is never evicted.
    type Block;

    /// Uses a weight: it is there, and stays, between the two ends of this call.
    fn access(&self, weight: usize) -> Result<(), Box<dyn Error>>;
    /// Memory for a sequence, or to compute in.
    fn allocate(&self, bytes: u64) -> Result<Self::Block, Box<dyn Error>>;
    fn free(&self, block: Self::Block);
    /// A weight's bytes as they are on the device.
    fn read(&self, weight: usize, to: &mut [u8]) -> Result<(), Box<dyn Error>>;
    /// How often a weight's bytes were brought.
    fn loads(&self) -> u64;
}

/// What the engine's calls cost, in nanoseconds.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) access: Histogram<u64>,
    pub(crate) allocate: Histogram<u64>,
    pub(crate) steps: u64,
    pub(crate) missed: u64,
    pub(crate) loads: u64,
}

impl Default for Measured {
    fn default() -> Self {
        // Up to a minute: what takes longer is counted as one.
        let histogram = || Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that were tried");
        let (access, allocate) = (histogram(), histogram());
        Measured { access, allocate, steps: 0, missed: 0, loads: 0 }
    }
}

impl Measured {
    pub(crate) fn add(&mut self, other: &Measured) {
        self.access += &other.access;
        self.allocate += &other.allocate;
        self.steps += other.steps;
        self.missed += other.missed;
        self.loads += other.loads;
    }

    pub(crate) fn row(&self, name: &str) -> Vec<String> {
        let figures = |of: &Histogram<u64>| {
            [of.value_at_quantile(0.5), of.value_at_quantile(0.99), of.value_at_quantile(0.999), of.max()]
        };
        let figures = [figures(&self.access), figures(&self.allocate)].concat().into_iter();
        let figures = figures.chain([self.missed, self.loads]).map(|figure| figure.to_string());
        std::iter::once(name.to_owned()).chain(figures).collect()
    }
}

/// One round: the engine's steps on this thread, the other plugin on another; then every weight's bytes are looked at.
pub(crate) fn round<M: Memory>(plan: &Plan, memory: &M) -> Result<Measured, Box<dyn Error>> {
    let over = AtomicBool::new(false);
    let measured = thread::scope(|scope| {
        let other = scope.spawn(|| walk(plan, memory, &over).map_err(|error| error.to_string()));
        let measured = steps(plan, memory);
        over.store(true, Relaxed);
        other.join().expect("the other plugin does not panic")?;
        measured
    })?;
    check(plan, memory)?;
    Ok(Measured { loads: memory.loads(), ..measured })
}

/// The other plugin: from weight to weight, of which not all fit, as fast as they come.
fn walk<M: Memory>(plan: &Plan, memory: &M, over: &AtomicBool) -> Result<(), Box<dyn Error>> {
    for weight in (plan.own..plan.weights.len()).cycle().take_while(|_| !over.load(Relaxed)) {
        memory.access(weight)?;
    }
    Ok(())
}

fn steps<M: Memory>(plan: &Plan, memory: &M) -> Result<Measured, Box<dyn Error>> {
    let mut measured = Measured { steps: plan.steps.into(), ..Measured::default() };
    let mut sequences: VecDeque<Vec<M::Block>> = (0..Plan::SEQUENCES).map(|_| Vec::new()).collect();
    // Warm: the first use of a weight is a load for everybody.
    (0..plan.own).try_for_each(|weight| memory.access(weight))?;
    for step in 0..plan.steps as usize {
        let begun = Instant::now();
        for weight in 0..plan.own {
            timed(&mut measured.access, || memory.access(weight))?;
        }
        let scratch = Plan::SCRATCH.map(|bytes| timed(&mut measured.allocate, || memory.allocate(bytes)));
        if step % 4 == 0 {
            // One of the sequences grows; the longest ends, and all its blocks with it.
            let mut grown = sequences.pop_front().expect("there are some");
            grown.push(timed(&mut measured.allocate, || memory.allocate(Plan::BLOCK))?);
            if grown.len() == Plan::LONGEST {
                grown.drain(..).for_each(|block| memory.free(block));
            }
            sequences.push_back(grown);
        }
        for block in scratch {
            memory.free(block?);
        }
        let taken = begun.elapsed();
        measured.missed += u64::from(taken > plan.deadline);
        // The card computes.
        thread::sleep(plan.period.saturating_sub(taken));
    }
    sequences.into_iter().flatten().for_each(|block| memory.free(block));
    Ok(measured)
}

fn timed<T>(into: &mut Histogram<u64>, call: impl FnOnce() -> T) -> T {
    let begun = Instant::now();
    let result = call();
    into.saturating_record(begun.elapsed().as_nanos() as u64);
    result
}

fn check<M: Memory>(plan: &Plan, memory: &M) -> Result<(), Box<dyn Error>> {
    for (weight, content) in plan.weights.iter().enumerate() {
        let mut found = vec![0; content.len()];
        memory.read(weight, &mut found)?;
        if found != **content {
            return Err(format!("weight {weight} has other bytes than it should").into());
        }
    }
    Ok(())
}
