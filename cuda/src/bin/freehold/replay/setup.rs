//! The figures of a replay, worked out before it begins: sizes at scale, the budget, the pool, who is how important.

use freehold_core::{Bytes, Fairness};

use super::jobs::Plan;
use crate::args::{Contents, Floor, Policy, ReplayArgs, Switch, ThreadPriority};
use crate::failure::Failure;
use crate::trace::peaks::Peaks;
use crate::trace::{Op, Scale, Trace};

/// What a replay works with.
#[derive(Debug)]
pub(super) struct Setup {
    pub(super) scale: Scale,
    /// Whole granules, at least one.
    pub(super) budget: Bytes,
    /// The bytes of the admission pool, carved out of the budget; `None` where the trace acquires nothing.
    pub(super) pool: Option<Bytes>,
    pub(super) fairness: Fairness,
    pub(super) plan: Plan,
    /// Whether blocks are moved before weights are evicted.
    pub(super) moves: bool,
    /// Who leaves first among equal priorities.
    pub(super) policy: Policy,
    /// Whether a request may evict who ranks higher, where that was said.
    pub(super) floor: Option<Floor>,
    /// Where a weight's bytes come from.
    pub(super) contents: Contents,
    /// How much of what comes next is brought after an access that had to wait.
    pub(super) prefetch: Option<Bytes>,
    /// By thread index.
    pub(super) priorities: Vec<i32>,
    /// How many records the manager's log keeps, where it is asked for.
    pub(super) log_records: Option<usize>,
    /// By id: whether the weight gets a second user.
    pub(super) shared: Vec<bool>,
}

impl Setup {
    pub(super) fn of(trace: &Trace, args: &ReplayArgs) -> Result<Setup, Failure> {
        let scale = Scale(args.scale);
        let budget = budget(trace, args, scale)?;
        let acquired = Peaks::reserved(trace, scale).acquired;
        Ok(Setup {
            fairness: match args.fairness {
                crate::args::Fairness::Fifo => Fairness::Fifo,
                crate::args::Fairness::Barging => Fairness::Barging,
            },
            pool: (acquired > 0).then(|| Bytes(pool(args.admission.of(acquired), budget, scale.granule()))),
            scale,
            budget: Bytes(budget),
            plan: Plan::read(trace, scale)?,
            moves: args.moves == Switch::On,
            policy: args.policy,
            floor: args.floor,
            priorities: priorities(trace, args)?,
            log_records: super::record::log_records(trace, args),
            contents: args.contents,
            prefetch: args.prefetch.map(|bytes| Bytes(bytes.of(budget * scale.0.get()) / scale.0)),
            shared: shared(trace),
        })
    }
}

fn budget(trace: &Trace, args: &ReplayArgs, scale: Scale) -> Result<u64, Failure> {
    let (bytes, granule) = (args.budget.of(Peaks::of(trace).total()), scale.granule());
    let scaled = bytes / scale.0;
    match scaled / granule * granule {
        0 => Err(Failure::BudgetTooSmall { bytes, scaled, granule }),
        whole => Ok(whole),
    }
}

/// Blocks take whole granules, so leases count them, and a pool is one at least: then what is admitted is what is used.
/// A pool larger than the budget would be a promise of memory that is not there.
fn pool(bytes: u64, budget: u64, granule: u64) -> u64 {
    (bytes.min(budget) / granule * granule).max(granule)
}

/// Threads that no option names have priority 0; the last word on a thread counts.
fn priorities(trace: &Trace, args: &ReplayArgs) -> Result<Vec<i32>, Failure> {
    if let Some(&ThreadPriority { thread, priority }) =
        args.priority.iter().find(|named| !trace.threads.contains(&named.thread))
    {
        return Err(Failure::UnknownThread { thread, priority, known: known_threads(trace) });
    }
    let of = |thread: &u32| {
        args.priority.iter().rev().find(|named| named.thread == *thread).map_or(0, |named| named.priority)
    };
    Ok(trace.threads.iter().map(of).collect())
}

/// The threads of a trace in words, the first dozen of them.
fn known_threads(trace: &Trace) -> String {
    let mut threads = trace.threads.clone();
    threads.sort_unstable();
    let shown: Vec<String> = threads.iter().take(12).map(u32::to_string).collect();
    let more = if threads.len() > shown.len() { ", ..." } else { "" };
    shown.join(", ") + more
}

fn shared(trace: &Trace) -> Vec<bool> {
    let mut shared = vec![false; trace.ids];
    for event in trace.events.iter().filter(|event| event.op == Op::Share) {
        shared[event.id as usize] = true;
    }
    shared
}
