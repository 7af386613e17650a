//! The event log: the last things that happened in a manager, bounded, off unless asked for.
//!
//! Whoever does something writes a record into a ring and goes on: nobody waits, and the oldest records make way. What comes out is
//! the trace format of `freehold replay`, so that what happened in production happens again in the laboratory; RMM's CSV; and the
//! traces of PyTorch's memory viewer (see [`Snapshot`](super::Snapshot)).
//!
//! Off, it costs a branch on a field that is always the same; on, some tens of nanoseconds an event.

mod record;
mod rmm;
mod trace;

pub(crate) use record::{Entry, Op, eviction};

use crate::arena::thread_hint;
use freehold_core::ring::{Record, Ring};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The last records of a manager: [`event_log`](crate::VramManagerBuilder::event_log) turns it on,
/// [`VramManager::event_log`](crate::VramManager::event_log) gets it.
///
/// **Progress**: recording is wait-free. A record whose slot is in a stopped thread's hands is given up and counted in
/// [`lost`](Self::lost), as are those that made way for newer ones.
///
/// ```
/// use freehold_cuda::{Allocation, Bytes, VramManager};
///
/// let manager = VramManager::builder().budget(Bytes(4096)).event_log(1 << 10).build()?;
/// drop(manager.allocate(Allocation::new(Bytes(512)).label("scratch").fixed())?);
/// let log = manager.event_log().expect("it was turned on");
/// let mut trace = Vec::new();
/// log.write_trace(&mut trace, 1).expect("a vector takes everything");
/// let lines = String::from_utf8(trace).expect("it is text");
/// assert!(lines.contains(",alloc,0,512,") && lines.contains(",free,0,512,"));
/// assert_eq!(log.lost(), 0);
/// # Ok::<(), freehold_cuda::Error>(())
/// ```
#[derive(Debug)]
pub struct EventLog {
    ring: Ring,
    clock: quanta::Clock,
    /// The clock's raw count when the log began, and the time of day then.
    began: (u64, SystemTime),
    /// Plugins by their numbers. Written where a plugin is made, read by exports.
    plugins: Mutex<HashMap<u32, Arc<str>>>,
    granule: u64,
}

/// Everything that an export works on, in the order of the tickets.
pub(crate) struct History {
    pub(crate) entries: Vec<Entry>,
    /// Labels by id, of those that became known while the log had room for it.
    pub(crate) labels: HashMap<u64, String>,
    pub(crate) lost: u64,
}

impl EventLog {
    pub(crate) fn new(records: usize, granule: u64) -> Self {
        let clock = quanta::Clock::new();
        let began = (clock.raw(), SystemTime::now());
        EventLog { ring: Ring::new(records), clock, began, plugins: Mutex::default(), granule }
    }

    /// How many records it keeps.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.ring.capacity()
    }

    /// How many records were ever begun. A label counts for as many as it takes.
    #[must_use]
    pub fn recorded(&self) -> u64 {
        self.ring.written()
    }

    /// How many records are gone: those that made way for newer ones, and those that were given up because their slot was in
    /// another's hands. Exact while nobody records.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let mut kept = 0;
        self.ring.read(|_, _| kept += 1);
        self.ring.written() - kept
    }

    /// Writes one record.
    #[inline]
    pub(crate) fn note(&self, op: Op, plugin: u32, id: u64, [bytes, address, rest]: [u64; 3]) {
        self.ring.write(self.entry(op, plugin, id, [bytes, address, rest]).pack());
    }

    /// Writes the record of something that begins, and its label behind it.
    pub(crate) fn note_named(&self, op: Op, plugin: u32, id: u64, bytes: u64, label: &str) {
        let mut records = arrayvec::ArrayVec::<Record, { record::PIECES + 1 }>::new();
        records.push(self.entry(op, plugin, id, [bytes, 0, 0]).pack());
        records.extend(record::name(id, label));
        self.ring.write_run(&records);
    }

    fn entry(&self, op: Op, plugin: u32, id: u64, [bytes, address, rest]: [u64; 3]) -> Entry {
        Entry { op, raw: self.clock.raw(), plugin, thread: thread_hint() as u32, id, bytes, address, rest }
    }

    pub(crate) fn granule(&self) -> u64 {
        self.granule
    }

    pub(crate) fn name_plugin(&self, number: u32, name: &Arc<str>) {
        self.plugins.lock().insert(number, Arc::clone(name));
    }

    pub(crate) fn plugin_name(&self, number: u32) -> Arc<str> {
        self.plugins.lock().get(&number).map_or_else(|| Arc::from(""), Arc::clone)
    }

    /// How long after the log's beginning something was.
    pub(crate) fn since_began(&self, entry: &Entry) -> Duration {
        Duration::from_nanos(self.clock.delta_as_nanos(self.began.0, entry.raw))
    }

    /// The time of day, since 1970, of something.
    pub(crate) fn time_of(&self, entry: &Entry) -> Duration {
        let began = self.began.1.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        began + self.since_began(entry)
    }

    pub(crate) fn history(&self) -> History {
        let (mut entries, mut texts, mut kept) = (Vec::new(), HashMap::<u64, Vec<u8>>::new(), 0);
        self.ring.read(|_, packed| {
            kept += 1;
            match Entry::unpack(packed) {
                Some(Entry { op: Op::Name, id, .. }) => record::append_name(packed, texts.entry(id).or_default()),
                Some(entry) => entries.push(entry),
                None => {}
            }
        });
        let label = |(id, text): (u64, Vec<u8>)| (id, String::from_utf8_lossy(&text).into_owned());
        History { entries, labels: texts.into_iter().map(label).collect(), lost: self.ring.written() - kept }
    }
}
