//! An engine with a deadline, beside a plugin that loads and evicts without an end: what do its calls cost then?
//!
//! `cargo run --release --example engine_loop -- --device host` (or `cuda:0`, and with the simulated driver as the example
//! `kernel` says). Each step of the engine uses all its weights, takes and gives back what it computes in, and its sequences
//! grow by blocks; meanwhile the other plugin walks through weights that do not fit. The same loop runs over Freehold and over
//! what an engine's author writes in an afternoon (`locked`), round by round, in both orders.

mod engine;
mod freehold;
mod locked;

use clap::Parser;
use engine::{Measured, Plan};
use freehold_cuda::memory::driver::CudaDevice;
use freehold_cuda::{DeviceMemory, HostDevice};
use std::error::Error;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

/// Decode steps against a deadline, while another plugin loads and evicts.
#[derive(Parser, Clone, Debug)]
pub(crate) struct Args {
    /// `host`, or `cuda:N`.
    #[arg(long, default_value = "host")]
    pub(crate) device: String,
    /// Steps in a round.
    #[arg(long, default_value_t = 1000)]
    pub(crate) steps: u32,
    /// Rounds of each contender; every other one begins with the last of them.
    #[arg(long, default_value_t = 4)]
    pub(crate) rounds: u32,
    /// How often a step begins, in microseconds.
    #[arg(long, default_value_t = 1000)]
    pub(crate) period_us: u64,
    /// How much of that a step's calls may take, in microseconds; above it the step is missed.
    #[arg(long, default_value_t = 250)]
    pub(crate) deadline_us: u64,
    /// The table as CSV too.
    #[arg(long)]
    pub(crate) csv: bool,
}

/// What is measured: a name, and a round of it.
type Contender<'a> = (&'static str, Box<dyn Fn() -> Result<Measured, Box<dyn Error>> + 'a>);

/// Runs all rounds and says what came of each contender.
pub(crate) fn run(args: &Args) -> Result<Vec<(&'static str, Measured)>, Box<dyn Error>> {
    let card = match args.device.strip_prefix("cuda:") {
        Some(ordinal) => Some(CudaDevice::new(ordinal.parse()?)?),
        None => None,
    };
    let stream = card.as_ref().map(|card| card.context().new_stream()).transpose()?;
    let device: Arc<dyn DeviceMemory> =
        card.map_or_else(|| Arc::new(HostDevice::new()) as Arc<_>, |card| card as Arc<_>);
    let (period, deadline) = (Duration::from_micros(args.period_us), Duration::from_micros(args.deadline_us));
    let plan = Plan::new(args.steps, period, deadline);
    let contenders: [Contender<'_>; 3] = [
        ("freehold", Box::new(|| engine::round(&plan, &freehold::Managed::new(&plan, &device, stream.as_ref())?))),
        ("mutex + TLSF", Box::new(|| engine::round(&plan, &locked::Locked::new(&plan, &device, false)?))),
        ("mutex + TLSF + copies", Box::new(|| engine::round(&plan, &locked::Locked::new(&plan, &device, true)?))),
    ];
    let mut sums: Vec<(&'static str, Measured)> =
        contenders.iter().map(|&(name, _)| (name, Measured::default())).collect();
    for round in 0..args.rounds {
        let forwards = (0..contenders.len()).collect::<Vec<_>>();
        let order = if round % 2 == 0 { forwards } else { forwards.into_iter().rev().collect() };
        for at in order {
            sums[at].1.add(&contenders[at].1()?);
        }
    }
    Ok(sums)
}

fn main() -> Result<(), Box<dyn Error>> {
    let args = Args::parse();
    let sums = run(&args)?;
    let mut out = std::io::stdout().lock();
    let head = ["", "access p50", "p99", "p99.9", "max", "allocate p50", "p99", "p99.9", "max", "missed", "loads"];
    let rows: Vec<Vec<String>> = sums.iter().map(|(name, measured)| measured.row(name)).collect();
    if args.csv {
        writeln!(out, "contender{}", head.join(","))?;
        rows.iter().try_for_each(|row| writeln!(out, "{}", row.join(",")))?;
        return Ok(());
    }
    writeln!(
        out,
        "nanoseconds a call; {} steps, {} us each for the calls",
        args.steps * args.rounds,
        args.deadline_us
    )?;
    for row in std::iter::once(&head.map(String::from).to_vec()).chain(&rows) {
        let cells: Vec<String> = row[1..].iter().map(|cell| format!("{cell:>13}")).collect();
        writeln!(out, "{:26}{}", row[0], cells.concat())?;
    }
    Ok(())
}
