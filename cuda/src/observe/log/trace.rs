//! The log as a trace for `freehold replay`: what the engines asked for, in the order in which they asked.
//!
//! A trace is whole by itself: an id begins before it is used and is not used after it ended. Of what began before the oldest
//! record, the beginning is written where it is first met.

use super::{Entry, EventLog, History, Op};
use std::collections::{HashMap, HashSet};
use std::io::{self, Write};

/// The words of a trace for what engines ask; what the manager does with it is not asked for.
fn word(op: Op) -> Option<&'static str> {
    Some(match op {
        Op::Load => "load",
        Op::Share => "share",
        Op::Access => "access",
        Op::Unload => "unload",
        Op::Alloc => "alloc",
        Op::Free => "free",
        Op::Acquire => "acquire",
        Op::Release => "release",
        _ => return None,
    })
}

/// What must have begun an id that this is about; `None` where this is the beginning.
fn beginning(op: Op) -> Option<Op> {
    match op {
        Op::Share | Op::Access | Op::Unload => Some(Op::Load),
        Op::Free => Some(Op::Alloc),
        Op::Release => Some(Op::Acquire),
        _ => None,
    }
}

/// A trace under construction.
struct Trace<'a, W> {
    out: W,
    log: &'a EventLog,
    history: &'a History,
    unit: u64,
    /// Plugins in the order in which they were met: their place is the trace's thread.
    threads: HashMap<u32, usize>,
    live: HashSet<u64>,
    ended: HashSet<u64>,
}

impl EventLog {
    /// Writes what was asked of the manager as a trace: the CSV that `freehold replay` takes once it is compressed with zstd. Every size
    /// is multiplied by `unit`, for a replay that divides by it. A plugin is a thread of the trace, named by a `begin`.
    ///
    /// What was refused is in it too, and is refused again. A use of an entry that never leaves is not: nothing depends on it. Nor are
    /// touches, prefetches, and changes of a priority or of the budget: the format has no word for them. An entry that may leave and has
    /// no source is written as one that has.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_trace(&self, out: impl Write, unit: u64) -> io::Result<()> {
        let history = self.history();
        let (threads, live, ended) = (HashMap::new(), HashSet::new(), HashSet::new());
        let mut trace = Trace { out, log: self, history: &history, unit, threads, live, ended };
        trace.head()?;
        history.entries.iter().try_for_each(|entry| trace.step(entry))
    }
}

impl<W: Write> Trace<'_, W> {
    fn head(&mut self) -> io::Result<()> {
        writeln!(self.out, "# recorded: by the event log of a Freehold manager; a thread is a plugin")?;
        writeln!(self.out, "# lost: {} records", self.history.lost)?;
        writeln!(self.out, "t_us,thread,op,id,bytes,stream,tag")
    }

    fn step(&mut self, entry: &Entry) -> io::Result<()> {
        if word(entry.op).is_none() || self.ended.contains(&entry.id) {
            return Ok(()); // an access that a release overtook is none any more
        }
        match beginning(entry.op) {
            Some(begin) if self.live.insert(entry.id) => self.line(&Entry { op: begin, ..*entry })?,
            Some(_) => {}
            None if !self.live.insert(entry.id) => return Ok(()),
            None => {}
        }
        if matches!(entry.op, Op::Unload | Op::Free | Op::Release) {
            self.live.remove(&entry.id);
            self.ended.insert(entry.id);
        }
        self.line(entry)
    }

    fn line(&mut self, entry: &Entry) -> io::Result<()> {
        let t_us = self.log.since_began(entry).as_micros();
        let met = self.threads.len();
        let thread = *self.threads.entry(entry.plugin).or_insert(met);
        if thread == met {
            let name = self.log.plugin_name(entry.plugin);
            writeln!(self.out, "{t_us},{thread},begin,{thread},0,{thread},{}", field(&name))?;
        }
        let (op, id, bytes) = (word(entry.op).unwrap_or_default(), entry.id, entry.bytes.saturating_mul(self.unit));
        let tag = self.history.labels.get(&entry.id).map_or("", String::as_str);
        writeln!(self.out, "{t_us},{thread},{op},{id},{bytes},{thread},{}", field(tag))
    }
}

/// Text as one field: the format knows no quotes.
fn field(text: &str) -> String {
    text.chars().map(|c| if c == ',' || c.is_control() { ';' } else { c }).collect()
}
