//! The event log as the trace that PyTorch's memory viewer draws: each block's coming and going, and why.
//!
//! The viewer begins with what lies where at the end and goes backwards, so a log that lost its oldest records shows the rest truly. An
//! event's category is its plugin: the viewer then colours by it.

use super::log::{Entry, EventLog, History, Op};
use super::pickle::{frame, frames, shown};
use super::value::Value;
use freehold_core::Bytes;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

/// What the viewer calls the category of a block without one. It stumbles over categories among which this one is not.
const UNKNOWN: &str = "unknown";

/// A trace under construction.
struct Trace<'a> {
    log: &'a EventLog,
    history: &'a History,
    /// Who is about to leave, and for whom.
    evicted: HashMap<u64, Rc<str>>,
    /// Frames that were written before: of whom, and what happened.
    frames: HashMap<(u64, Rc<str>), Value>,
    events: Vec<Value>,
}

/// What happened, in the viewer's words, the oldest first, and that the snapshot was taken.
pub(super) fn events(log: &EventLog) -> Vec<Value> {
    let history = log.history();
    let mut trace =
        Trace { log, history: &history, evicted: HashMap::new(), frames: HashMap::new(), events: Vec::new() };
    history.entries.iter().for_each(|entry| trace.step(entry));
    trace.events.push(end());
    trace.events
}

impl Trace<'_> {
    fn step(&mut self, entry: &Entry) {
        let (at, rest) = (entry.address, entry.rest);
        match entry.op {
            Op::Placed => self.block(entry, "alloc", at, rest, "given a block"),
            Op::Evicted => {
                let needed_by = self.log.plugin_name(entry.needed_by());
                let why = format!("evicted: {} asked for {}", shown(&needed_by), Bytes(rest));
                self.evicted.insert(entry.id, why.into());
            }
            Op::Left => {
                let why = self.evicted.remove(&entry.id);
                self.gone(entry, at, rest, why.as_deref().unwrap_or("gave it back"));
            }
            Op::Moved => {
                let bytes = entry.bytes.next_multiple_of(self.log.granule());
                self.gone(entry, at, bytes, "moved away");
                self.block(entry, "alloc", rest, bytes, "moved here");
            }
            Op::RegionCame => self.nobodys(entry, "segment_alloc", ("addr", at), "a region came"),
            Op::RegionWent => self.nobodys(entry, "segment_free", ("addr", at), "a region went back"),
            Op::Refused => self.nobodys(entry, "oom", ("device_free", rest), "refused"),
            _ => {}
        }
    }

    /// A block goes: requested and completed at once, for who gets it next waits, not who frees it.
    fn gone(&mut self, entry: &Entry, address: u64, bytes: u64, why: &str) {
        self.block(entry, "free_requested", address, bytes, why);
        self.block(entry, "free_completed", address, bytes, why);
    }

    fn block(&mut self, entry: &Entry, action: &'static str, address: u64, bytes: u64, why: &str) {
        let plugin = self.log.plugin_name(entry.plugin);
        let label = self.history.labels.get(&entry.id).map_or("", String::as_str);
        let seen = self.frames.entry((entry.id, Rc::from(why)));
        let frames = seen.or_insert_with(|| Value::Shared(Rc::new(frames(&plugin, entry.id, label, why)))).clone();
        self.events.push(event(self.log.time_of(entry), action, ("addr", address), bytes, frames, shown(&plugin)));
    }

    /// What is about no entry. The number in such a record is nobody's id.
    fn nobodys(&mut self, entry: &Entry, action: &'static str, number: (&'static str, u64), what: &str) {
        let plugin = self.log.plugin_name(entry.plugin);
        let frames = Value::List(vec![frame(&plugin, 0, what)]);
        self.events.push(event(self.log.time_of(entry), action, number, entry.bytes, frames, UNKNOWN));
    }
}

/// What is not on the card, as if it came at once to where it is shown: without an event of their own the viewer would say of these
/// blocks that they came before anybody looked.
pub(super) fn arrivals(total: u64, blocks: impl Iterator<Item = (u64, u64, Value, String)>) -> Vec<Value> {
    let now = now();
    let frames = Value::List(vec![frame("", 0, "not on the card")]);
    let mut events = vec![event(now, "segment_alloc", ("addr", 0), total, frames, UNKNOWN)];
    events.extend(
        blocks.map(|(at, bytes, frames, plugin)| event(now, "alloc", ("addr", at), bytes, frames, shown(&plugin))),
    );
    events
}

fn end() -> Value {
    let frames = Value::List(vec![frame("", 0, "the snapshot was taken")]);
    event(now(), "snapshot", ("addr", 0), 0, frames, UNKNOWN)
}

fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

fn event(
    time: Duration,
    action: &'static str,
    (place, number): (&'static str, u64),
    bytes: u64,
    frames: Value,
    category: &str,
) -> Value {
    Value::dict([
        ("action", Value::text(action)),
        (place, Value::number(number)),
        ("size", Value::number(bytes)),
        ("stream", Value::Int(0)),
        ("time_us", Value::number(time.as_micros() as u64)),
        ("frames", frames),
        ("category", Value::text(category)),
    ])
}
