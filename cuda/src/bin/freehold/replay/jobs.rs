//! The jobs of a decode front end, read off the trace: one lease a job, taken before its first buffer.
//!
//! A worker's job is the stretch from its holding nothing to its holding nothing again; its lease is what the stretch
//! holds at most. Leases taken buffer by buffer deadlock, fair or not (BEHAVIOURS P16): two workers that each hold half
//! of the pool and ask for more wait for ever. A worker that has its job's whole lease never waits again.

use crate::failure::Failure;
use crate::trace::{Event, Op, Scale, Trace};

/// An index that means: in no job.
const NONE: u32 = u32::MAX;

/// One job, as the trace foretells it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Job {
    /// Who runs it.
    pub(super) thread: u16,
    /// The most it holds at once, in whole granules.
    pub(super) peak: u64,
    /// How many buffers it acquires.
    pub(super) buffers: u32,
}

/// All jobs, and which block belongs to which.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) jobs: Vec<Job>,
    of_id: Vec<u32>,
}

impl Plan {
    /// The job during which the block `id` is made.
    pub(super) fn of(&self, id: u32) -> Option<usize> {
        self.of_id.get(id as usize).copied().filter(|&job| job != NONE).map(|job| job as usize)
    }

    /// Reads the jobs off a trace.
    ///
    /// # Errors
    /// Where one job needs what a job of another worker makes: were that one waiting for admission, neither would end.
    pub(super) fn read(trace: &Trace, scale: Scale) -> Result<Plan, Failure> {
        let mut plan = Plan { jobs: Vec::new(), of_id: vec![NONE; trace.ids] };
        let mut open: Vec<Option<Open>> = vec![None; trace.threads.len()];
        let mut foreign = Foreign::read(trace);
        for event in &trace.events {
            if foreign.is_awaited(event) && (event.op == Op::Release || open[usize::from(event.thread)].is_some()) {
                return Err(Failure::EntangledJobs { tag: trace.tag(event).to_owned() });
            }
            let (thread, reserved) = (usize::from(event.thread), scale.reserved(event.bytes));
            match event.op {
                Op::Acquire => {
                    let stretch = open[thread].get_or_insert_with(|| plan.begin(event.thread));
                    stretch.held += u128::from(reserved);
                    stretch.buffers += 1;
                    let job = &mut plan.jobs[stretch.job as usize];
                    job.peak = job.peak.max(u64::try_from(stretch.held).unwrap_or(u64::MAX));
                    job.buffers += 1;
                    plan.of_id[event.id as usize] = stretch.job;
                }
                Op::Alloc => plan.of_id[event.id as usize] = open[thread].as_ref().map_or(NONE, |stretch| stretch.job),
                Op::Release => open[thread] = open[thread].and_then(|stretch| stretch.released(reserved)),
                Op::Free | Op::Load | Op::Unload | Op::Share | Op::Access | Op::Begin | Op::End => {}
            }
        }
        Ok(plan)
    }

    fn begin(&mut self, thread: u16) -> Open {
        self.jobs.push(Job { thread, peak: 0, buffers: 0 });
        Open { job: self.jobs.len() as u32 - 1, held: 0, buffers: 0 }
    }
}

/// A stretch that has begun: its job, and what it holds.
#[derive(Clone, Copy, Debug)]
struct Open {
    job: u32,
    /// In 128 bits: a trace may ask for 2^63 bytes twice.
    held: u128,
    buffers: u32,
}

impl Open {
    /// The stretch after one of its buffers has gone, or `None` when that was the last.
    fn released(self, reserved: u64) -> Option<Open> {
        let after = Open { held: self.held - u128::from(reserved), buffers: self.buffers - 1, ..self };
        (after.buffers > 0).then_some(after)
    }
}

/// Whose events may have to wait for another worker's admission.
struct Foreign {
    /// By thread: whether it ever waits for admission.
    decodes: Vec<bool>,
    /// By id: who made it.
    maker: Vec<u16>,
}

impl Foreign {
    fn read(trace: &Trace) -> Foreign {
        let mut decodes = vec![false; trace.threads.len()];
        for event in trace.events.iter().filter(|event| event.op == Op::Acquire) {
            decodes[usize::from(event.thread)] = true;
        }
        Foreign { decodes, maker: vec![0; trace.ids] }
    }

    /// Whether an event uses what another worker made that may be waiting for admission. Call it for each event in order.
    fn is_awaited(&mut self, event: &Event) -> bool {
        let Some(maker) = self.maker.get_mut(event.id as usize) else { return false };
        if matches!(event.op, Op::Alloc | Op::Acquire | Op::Load) {
            *maker = event.thread;
        }
        *maker != event.thread && self.decodes[usize::from(*maker)]
    }
}
