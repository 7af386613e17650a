//! The words of the command line: a contract, for other programs drive it.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

mod values;

pub(crate) use values::{Budget, DeviceChoice, Fraction, ThreadPriority};

/// One bounded budget of device memory, shared by several engines: replay recorded traces against it.
///
/// Without arguments: the main job, six models from the bundled trace in half the memory they want.
#[derive(Debug, Parser)]
#[command(name = "freehold", version)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Replay a trace through the manager, every byte checked
    Replay(ReplayArgs),
    /// Find the smallest arena in which the allocations of each trace succeed
    Pack(PackArgs),
    /// Say which devices there are
    Info(InfoArgs),
}

/// `freehold replay`
#[derive(Clone, Debug, Args)]
pub(crate) struct ReplayArgs {
    /// A zstd-compressed CSV trace
    pub(crate) trace: PathBuf,
    /// Where the memory is: `auto` takes the card if there is one
    #[arg(long, default_value = "auto", value_name = "auto|host|cuda:N")]
    pub(crate) device: DeviceChoice,
    /// With a decimal point a fraction of (peak of weights + peak of blocks), otherwise the trace's own bytes
    /// (KiB, MiB, GiB)
    #[arg(long, default_value = "0.5", value_name = "BYTES|FRACTION", allow_hyphen_values = true)]
    pub(crate) budget: Budget,
    /// Divides every size, the granule and the alignment
    #[arg(long, default_value = "1", allow_hyphen_values = true)]
    pub(crate) scale: NonZeroU64,
    /// Who leaves first among equal priorities
    #[arg(long, value_enum, default_value = "lru")]
    pub(crate) policy: Policy,
    /// After an access that had to wait, bring as many bytes of what the policy says comes next: the trace's own (KiB,
    /// MiB, GiB), or a fraction of the budget
    #[arg(long, value_name = "BYTES|FRACTION", allow_hyphen_values = true)]
    pub(crate) prefetch: Option<Budget>,
    /// Whether blocks are moved before weights are evicted
    #[arg(long, value_enum, default_value = "on")]
    pub(crate) moves: Switch,
    /// The priority of what a thread of the trace loads and asks for; may be given for several threads
    #[arg(long, value_name = "THREAD=N", allow_hyphen_values = true)]
    pub(crate) priority: Vec<ThreadPriority>,
    /// Whom a request may evict: anybody, as where this is not given, or nobody who ranks higher than the one who asks. Counts how
    /// often somebody ranked higher
    #[arg(long, value_enum)]
    pub(crate) floor: Option<Floor>,
    /// The admission pool as a fraction of the peak of acquired bytes
    #[arg(long, default_value = "1.0", value_name = "FRACTION", allow_hyphen_values = true)]
    pub(crate) admission: Fraction,
    /// Who is let in first: in order of arrival, or whoever fits
    #[arg(long, value_enum, default_value = "fifo")]
    pub(crate) fairness: Fairness,
    /// One thread in program order, or one thread for each of the trace's, free-running
    #[arg(long, value_enum, default_value = "1")]
    pub(crate) threads: Threads,
    /// Write what was asked of the manager as a trace, which replays to the same counts at the same scale and budget
    #[arg(long, value_name = "FILE.csv.zst")]
    pub(crate) log: Option<PathBuf>,
    /// Write the blocks' comings and goings as RMM's logging adaptor does
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) rmm_csv: Option<PathBuf>,
    /// Write what lies where at the end: `.pickle` for PyTorch's memory viewer, otherwise JSON
    #[arg(long, value_name = "FILE.json|FILE.pickle")]
    pub(crate) snapshot: Option<PathBuf>,
    /// Write a picture of the replay: one HTML page, for a browser, that needs no network
    #[arg(long, value_name = "FILE.html")]
    pub(crate) report: Option<PathBuf>,
    /// Whether a weight's bytes are made anew at every load, or once, in memory that a card copies from by itself
    #[arg(long, value_enum, default_value = "made")]
    pub(crate) contents: Contents,
    /// One JSON object and nothing else on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `freehold pack`
#[derive(Clone, Debug, Args)]
pub(crate) struct PackArgs {
    /// Zstd-compressed CSV traces
    #[arg(required = true, value_name = "TRACE")]
    pub(crate) traces: Vec<PathBuf>,
    /// The smallest unit, in bytes
    #[arg(long, default_value = "512", allow_hyphen_values = true)]
    pub(crate) granule: NonZeroU64,
    /// Whether weights count as allocations
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) weights: Weights,
    /// Whether live blocks may be moved before the arena counts as too small
    #[arg(long, value_enum, default_value = "off")]
    pub(crate) moves: Switch,
    /// One JSON object a trace and nothing else on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// `freehold info`
#[derive(Clone, Debug, Args)]
pub(crate) struct InfoArgs {
    /// One JSON object and nothing else on stdout
    #[arg(long)]
    pub(crate) json: bool,
}

/// Who leaves first among equal priorities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    Lru,
    NextUse,
    Offline,
}

/// Whether a request may evict who ranks higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Floor {
    None,
    Requester,
}

/// In which order the admission pool serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fairness {
    Fifo,
    Barging,
}

/// On or off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// How many threads of ours replay a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Threads {
    #[value(name = "1")]
    One,
    All,
}

/// Where a weight's bytes come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contents {
    Made,
    Pinned,
}

/// Whether `load` and allocations tagged `w:` count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Weights {
    All,
    None,
}
