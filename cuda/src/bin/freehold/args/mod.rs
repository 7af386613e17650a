//! The words of the command line: a contract, for other programs drive it.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// The priority of what a thread of the trace loads; may be given for several threads
    #[arg(long, value_name = "THREAD=N", allow_hyphen_values = true)]
    pub(crate) priority: Vec<ThreadPriority>,
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

/// Where the memory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DeviceChoice {
    Auto,
    Host,
    Cuda(u32),
}

impl FromStr for DeviceChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<DeviceChoice, String> {
        match text {
            "auto" => Ok(DeviceChoice::Auto),
            "host" => Ok(DeviceChoice::Host),
            _ => {
                let ordinal = text.strip_prefix("cuda:").and_then(|n| n.parse().ok());
                ordinal.map(DeviceChoice::Cuda).ok_or_else(|| "a device is auto, host or cuda:N".to_owned())
            }
        }
    }
}

/// A number with a decimal point, above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fraction(pub(crate) f64);

impl Fraction {
    /// This part of an amount of bytes, rounded down.
    pub(crate) fn of(self, bytes: u64) -> u64 {
        (bytes as f64 * self.0) as u64 // saturates
    }
}

impl FromStr for Fraction {
    type Err = String;
    fn from_str(text: &str) -> Result<Fraction, String> {
        let plain = text.contains('.') && text.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        let number: Option<f64> = plain.then(|| text.parse().ok()).flatten();
        let above_zero = number.filter(|number| number.is_finite() && *number > 0.0);
        above_zero
            .map(Fraction)
            .ok_or_else(|| "a fraction is written with a decimal point and is above 0, like 0.5".to_owned())
    }
}

/// How much of the card the manager may use.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Budget {
    /// Of (peak of loaded weights + peak of alloc and acquire bytes).
    Fraction(Fraction),
    /// The trace's own bytes.
    Bytes(u64),
}

impl Budget {
    /// The budget in the trace's own bytes, where a fraction is one of `whole`.
    pub(crate) fn of(self, whole: u64) -> u64 {
        match self {
            Budget::Fraction(fraction) => fraction.of(whole),
            Budget::Bytes(bytes) => bytes,
        }
    }
}

impl FromStr for Budget {
    type Err = String;
    fn from_str(text: &str) -> Result<Budget, String> {
        if let Ok(fraction) = text.parse() {
            return Ok(Budget::Fraction(fraction));
        }
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: Option<u64> = match text[digits.len()..].trim() {
            "" | "B" => Some(1),
            "KiB" => Some(1 << 10),
            "MiB" => Some(1 << 20),
            "GiB" => Some(1 << 30),
            _ => None,
        };
        let number: Option<u64> = digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let bytes = number.zip(unit).and_then(|(number, unit)| number.checked_mul(unit)).filter(|&bytes| bytes > 0);
        bytes.map(Budget::Bytes).ok_or_else(|| {
            "a budget is a fraction with a decimal point, like 0.5, or whole bytes, like 24GiB, and above 0".to_owned()
        })
    }
}

/// `THREAD=N`
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ThreadPriority {
    pub(crate) thread: u32,
    pub(crate) priority: i32,
}

impl FromStr for ThreadPriority {
    type Err = String;
    fn from_str(text: &str) -> Result<ThreadPriority, String> {
        let parsed = text.split_once('=').and_then(|(thread, priority)| {
            Some(ThreadPriority { thread: thread.parse().ok()?, priority: priority.parse().ok()? })
        });
        parsed.ok_or_else(|| "a priority is THREAD=N, both whole numbers, like 0=9".to_owned())
    }
}
