//! Why the command could not do what it was asked: one line on stderr, exit code 2.

use thiserror::Error;

use crate::trace::TraceError;

/// Bad input. What the command did find out (a mismatch, a refused allocation) is a result and no failure.
#[derive(Debug, Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Trace(#[from] TraceError),
    #[error("there is no device cuda:{ordinal} here: {reason}; --device host works everywhere")]
    NoDevice { ordinal: u32, reason: freehold_cuda::DeviceError },
    #[error("a budget of {bytes} bytes is {scaled} bytes at this scale: less than one granule of {granule} bytes")]
    BudgetTooSmall { bytes: u64, scaled: u64, granule: u64 },
    #[error("a budget of {budget} bytes is more than the {total} bytes that {device} has; --scale makes it smaller")]
    BudgetTooLarge { budget: u64, total: u64, device: String },
    #[error("a peak of {peak} bytes needs an arena above {limit} bytes: more than pack can judge")]
    TooLargeToPack { peak: u64, limit: u64 },
    #[error(
        "a decode job needs `{tag}` of another worker's job: jobs that wait for each other cannot be admitted one by one"
    )]
    EntangledJobs { tag: String },
    #[error("the manager cannot begin: {0}")]
    Manager(#[from] freehold_cuda::Error),
    #[error(transparent)]
    Device(#[from] freehold_cuda::DeviceError),
    #[error("cannot write {path:?}: {source}")]
    File { path: std::path::PathBuf, source: std::io::Error },
    #[error("the system gave no thread for each of the trace's {threads}: {source}; --threads 1 needs none")]
    NoThread { threads: usize, source: std::io::Error },
    #[error("--priority {thread}={priority}: the trace has no thread {thread}, only {known}")]
    UnknownThread { thread: u32, priority: i32, known: String },
    #[error("cannot write the result: {0}")]
    Output(#[from] std::io::Error),
}

impl From<clap::Error> for Failure {
    /// Clap explains over several lines; the contract has one, so its first paragraph is kept, joined.
    fn from(error: clap::Error) -> Failure {
        let text = error.render().to_string();
        let paragraph = text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim);
        let line = paragraph.collect::<Vec<_>>().join(" ");
        Failure::Usage(line.strip_prefix("error: ").unwrap_or(&line).to_owned())
    }
}
