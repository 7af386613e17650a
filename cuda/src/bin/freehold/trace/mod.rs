//! A recorded trace in memory: what several engines asked of one card, one event after the other.
//!
//! The file is zstd-compressed CSV (`tests/traces/README.md` has the format). In memory an event is 32 bytes and holds no
//! text: ids, threads and tags are renumbered from 0, so that everything later is an index into a vector. A trace
//! that exists has been checked from its first line to its last: nothing after `read` meets a free of nothing.

mod event;
mod read;
mod validate;

pub(crate) mod peaks;

pub(crate) use event::{Event, Op, Scale};
pub(crate) use read::{TraceError, read_bytes, read_file};

/// The granule and the alignment of a trace that is replayed at scale 1, in bytes.
pub(crate) const GRANULE_BYTES: u64 = 512;

/// One trace, checked. Having one tells you: every index in its events is in bounds, every id is made once and
/// before any other use of it, and nothing is used after it ended.
#[derive(Debug)]
pub(crate) struct Trace {
    /// The file's name without its extensions.
    pub(crate) name: String,
    /// The events in program order.
    pub(crate) events: Vec<Event>,
    /// The `thread` numbers as the file has them, by the index that events use.
    pub(crate) threads: Vec<u32>,
    /// The tags, by the index that events use.
    pub(crate) tags: Vec<String>,
    /// How many ids there are: they are numbered `0..ids`.
    pub(crate) ids: usize,
}

impl Trace {
    /// The tag of an event.
    pub(crate) fn tag(&self, event: &Event) -> &str {
        &self.tags[event.tag as usize]
    }

    /// What to call a thread: the name of its first job, or its number where it has none.
    pub(crate) fn thread_name(&self, thread: u16) -> String {
        let first_job = self.events.iter().find(|event| event.op == Op::Begin && event.thread == thread);
        match first_job.map(|event| self.tag(event)) {
            Some(name) if !name.is_empty() => name.to_owned(),
            _ => format!("thread {}", self.threads[usize::from(thread)]),
        }
    }
}
