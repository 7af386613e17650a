//! `freehold replay`: a recorded trace run against one manager and one bounded budget, every byte checked.
//!
//! ```text
//!   trace ─▶ Setup (sizes, budget, pool) ─▶ World (ids to handles) ◀─ order: one thread, or one for each of the trace's
//!                                               │
//!                                               ▼
//!                                  manager, observed by Watch  ─▶  Report
//! ```
//! Nothing here decides who leaves or where a block lives: it asks as the recorded engines asked, and looks.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use clap::Parser;
use freehold_cuda::DeviceMemory;
use indicatif::{ProgressBar, ProgressStyle};

use crate::args::{Command, CommandLine, ReplayArgs, Threads};
use crate::device;
use crate::failure::Failure;
use crate::report::{self as page, Gathered, Recorder};
use crate::trace::{self, Trace};

mod jobs;
mod setup;

mod admission;
mod checker;
pub(crate) mod contents;
mod latency;
mod meter;
mod offline;
mod onlookers;
mod step;
mod stock;
mod watch;
mod world;

mod in_order;
mod in_threads;
mod ledger;

mod record;
mod report;
mod table;

pub(crate) use latency::Latency;
pub(crate) use report::{PluginRow, Report};

use setup::Setup;
use world::World;

/// The main job's trace is part of the binary, so that it runs wherever the binary is. (A link to `tests/traces`: a
/// package holds no path that leads out of it.)
const MIX: &[u8] = include_bytes!("mix_cut.csv.zst");

/// What a replay found out, and for whom.
pub(crate) struct Outcome {
    pub(crate) report: Report,
    pub(crate) details: report::Details,
    /// Where a page was asked for.
    pub(crate) gathered: Option<Gathered>,
}

/// The main job: the bundled mix of six models, at 1/64 of their size, in half the memory they want.
pub(crate) fn main_job() -> Result<ExitCode, Failure> {
    let words = ["freehold", "replay", "the bundled mix", "--scale", "64"];
    let Some(Command::Replay(args)) = CommandLine::try_parse_from(words)?.command else {
        unreachable!("the words above say replay");
    };
    let trace = trace::read_bytes(MIX, "mix_cut")?;
    show(&args, &trace)
}

/// `freehold replay TRACE`.
pub(crate) fn run(args: &ReplayArgs) -> Result<ExitCode, Failure> {
    let trace = trace::read_file(&args.trace)?;
    show(args, &trace)
}

fn show(args: &ReplayArgs, trace: &Trace) -> Result<ExitCode, Failure> {
    let device = device::choose(args.device)?;
    let mut page = args.report.as_deref().map(Page::create).transpose()?;
    let progress = if args.json { ProgressBar::hidden() } else { progress_bar(trace) };
    let outcome = replay(trace, args, device, &progress)?;
    progress.finish_and_clear();
    if let (Some(page), Some(gathered)) = (&mut page, &outcome.gathered) {
        page.write(&outcome, gathered)?;
    }
    let mut out = std::io::stdout().lock();
    if args.json {
        outcome.report.write_json(&mut out)?;
    } else {
        table::write(&outcome, &mut out)?;
        if let Some(path) = &args.report {
            writeln!(out, "report           {path:?}")?;
        }
    }
    for complaint in &outcome.details.complaints {
        eprintln!("freehold: {complaint}");
    }
    Ok(if outcome.report.mismatches == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The file that the page goes to. It is made before the replay begins, so that a replay of an hour is not in vain.
struct Page<'a> {
    path: &'a Path,
    file: File,
}

impl<'a> Page<'a> {
    fn create(path: &'a Path) -> Result<Page<'a>, Failure> {
        let file = File::create(path).map_err(|source| Failure::File { path: path.to_owned(), source })?;
        Ok(Page { path, file })
    }

    fn write(&mut self, outcome: &Outcome, gathered: &Gathered) -> Result<(), Failure> {
        let picture = page::Picture::of(outcome, gathered);
        let written = page::write(&picture, &mut BufWriter::new(&mut self.file));
        written.map_err(|source| Failure::File { path: self.path.to_owned(), source })
    }
}

fn progress_bar(trace: &Trace) -> ProgressBar {
    let bar = ProgressBar::new(trace.events.len() as u64);
    let style = "{msg} {wide_bar} {human_pos} of {human_len} events, {eta} left";
    bar.set_style(ProgressStyle::with_template(style).expect("the template is a constant that was tried"));
    bar.set_message(trace.name.clone());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Replays a trace on a device.
///
/// # Errors
/// Where the replay cannot begin: a budget below one granule, or above what the device has; jobs that wait for each other.
pub(crate) fn replay(
    trace: &Trace,
    args: &ReplayArgs,
    device: Arc<dyn DeviceMemory>,
    progress: &ProgressBar,
) -> Result<Outcome, Failure> {
    let begun = Instant::now();
    let (setup, about) = (Setup::of(trace, args)?, device.info()?);
    if setup.budget > about.total {
        let (budget, total, device) = (setup.budget.get(), about.total.get(), about.name);
        return Err(Failure::BudgetTooLarge { budget, total, device });
    }
    let recorder = args.report.as_ref().map(|_| Arc::new(Recorder::new(trace)));
    let world = World::new(trace, &setup, device, recorder)?;
    let meter = match args.threads {
        Threads::One => in_order::run(&world, progress),
        Threads::All => in_threads::run(&world, progress)?,
    };
    record::write(&world, args)?;
    Ok(report::finish(world, meter, args, about.name, begun.elapsed()))
}
