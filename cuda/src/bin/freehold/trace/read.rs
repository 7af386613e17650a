//! From a compressed file to a [`Trace`], in one pass; whatever is wrong is said with the file and the line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use thiserror::Error;

use super::Trace;
use super::event::{Event, Op};
use super::validate::{Fault, Ids};

const HEADER: &str = "t_us,thread,op,id,bytes,stream,tag";

/// Longer lines are no trace; without a limit, a damaged file could ask for all memory.
const LONGEST_LINE: u64 = 1 << 16;

/// Why a trace could not be read.
#[derive(Debug, Error)]
pub(crate) enum TraceError {
    #[error("{path}: {source}")]
    Open { path: String, source: io::Error },
    #[error("{path}: line {line}: {fault}")]
    Line { path: String, line: u64, fault: Fault },
    #[error("{path}: holds no event")]
    Empty { path: String },
}

/// Reads the trace in a file.
pub(crate) fn read_file(path: &Path) -> Result<Trace, TraceError> {
    let shown = quoted(path);
    let opened = File::open(path).and_then(zstd::Decoder::new);
    let stream = opened.map_err(|source| TraceError::Open { path: shown.clone(), source })?;
    read(stream, &shown, &stem(path))
}

/// Reads a trace that is in memory, compressed as in a file.
pub(crate) fn read_bytes(compressed: &[u8], name: &str) -> Result<Trace, TraceError> {
    let opened = zstd::Decoder::with_buffer(compressed);
    let stream = opened.map_err(|source| TraceError::Open { path: name.to_owned(), source })?;
    read(stream, name, name)
}

/// A path as it is where that is plain, otherwise quoted and escaped: a message is one line.
fn quoted(path: &Path) -> String {
    let shown = path.display().to_string();
    if shown.chars().any(char::is_control) || path.to_str().is_none() { format!("{path:?}") } else { shown }
}

/// `a/b/mix_serial.csv.zst` is the trace `mix_serial`.
fn stem(path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let file = file.strip_suffix(".zst").unwrap_or(&file);
    file.strip_suffix(".csv").unwrap_or(file).to_owned()
}

fn read(stream: impl Read, path: &str, name: &str) -> Result<Trace, TraceError> {
    let mut lines = Lines::new(stream);
    let building = build(&mut lines).map_err(|fault| {
        let (path, line) = (path.to_owned(), lines.number);
        TraceError::Line { path, line, fault }
    })?;
    if building.events.is_empty() {
        return Err(TraceError::Empty { path: path.to_owned() });
    }
    Ok(building.finish(name))
}

fn build(lines: &mut Lines<impl Read>) -> Result<Building, Fault> {
    let header = lines.next_line()?.unwrap_or_default();
    if header != HEADER.as_bytes() {
        return Err(Fault::Header { expected: HEADER, found: shown(header) });
    }
    let mut building = Building::default();
    // Bounded by the lines of the file.
    while let Some(line) = lines.next_line()? {
        building.push(fields(line)?)?;
    }
    Ok(building)
}

/// The lines of a file but comments and empty ones, each counted.
struct Lines<R: Read> {
    stream: BufReader<R>,
    line: Vec<u8>,
    /// Of the line last read, from 1.
    number: u64,
}

impl<R: Read> Lines<R> {
    fn new(stream: R) -> Lines<R> {
        Lines { stream: BufReader::with_capacity(1 << 17, stream), line: Vec::new(), number: 0 }
    }

    /// The next line that says something, without its end; `None` at the end of the file.
    fn next_line(&mut self) -> Result<Option<&[u8]>, Fault> {
        loop {
            self.line.clear();
            self.number += 1;
            let mut limited = (&mut self.stream).take(LONGEST_LINE);
            let read = limited.read_until(b'\n', &mut self.line).map_err(|error| Fault::Damaged(error.to_string()))?;
            if read as u64 == LONGEST_LINE {
                return Err(Fault::TooLong { limit: LONGEST_LINE });
            }
            if read == 0 {
                return Ok(None);
            }
            if !matches!(self.line.trim_ascii_start(), [] | [b'#', ..]) {
                return Ok(Some(self.line.trim_ascii_end()));
            }
        }
    }
}

/// The seven fields of a line.
fn fields(line: &[u8]) -> Result<[&[u8]; 7], Fault> {
    let mut fields: [&[u8]; 7] = [b""; 7];
    let mut found = 0;
    for field in line.split(|&byte| byte == b',') {
        if let Some(place) = fields.get_mut(found) {
            *place = field;
        }
        found += 1;
    }
    if found == fields.len() { Ok(fields) } else { Err(Fault::Fields { expected: fields.len(), found }) }
}

/// A trace under construction: the events so far, and the numbering of what they name.
#[derive(Default)]
struct Building {
    events: Vec<Event>,
    ids: Ids,
    threads: Vec<u32>,
    tags: Vec<String>,
    tag_index: HashMap<Vec<u8>, u32>,
}

impl Building {
    fn push(&mut self, [t_us, thread, op, id, bytes, stream, tag]: [&[u8]; 7]) -> Result<(), Fault> {
        number("t_us", t_us, u64::MAX)?;
        let thread = number("thread", thread, u64::from(u32::MAX))?;
        let op = Op::parse(op).ok_or_else(|| Fault::UnknownOp(shown(op)))?;
        let id = number("id", id, u64::MAX)?;
        let bytes = number("bytes", bytes, u64::MAX)?;
        number("stream", stream, u64::from(u32::MAX))?;
        let id = self.ids.step(op, id, bytes)?;
        let (thread, tag) = (self.thread(thread as u32)?, self.tag(tag)?);
        self.events.push(Event { op, thread, tag, id, bytes });
        Ok(())
    }

    /// The index of a thread number; there are few, so a walk from the newest is quick.
    fn thread(&mut self, number: u32) -> Result<u16, Fault> {
        let known = self.threads.iter().position(|&known| known == number);
        let index = known.unwrap_or(self.threads.len());
        if known.is_none() {
            self.threads.push(number);
        }
        // One fewer than a u16 counts: the number of threads has to fit one too.
        let fits = u16::try_from(index).ok().filter(|&index| index < u16::MAX);
        fits.ok_or(Fault::TooMany { what: "threads", max: u64::from(u16::MAX) })
    }

    fn tag(&mut self, text: &[u8]) -> Result<u32, Fault> {
        if let Some(&index) = self.tag_index.get(text) {
            return Ok(index);
        }
        let tag = std::str::from_utf8(text).map_err(|_| Fault::Tag)?.to_owned();
        let index = self.tags.len() as u32; // fewer tags than ids, and ids fit
        self.tags.push(tag);
        self.tag_index.insert(text.to_owned(), index);
        Ok(index)
    }

    fn finish(self, name: &str) -> Trace {
        let ids = self.ids.len();
        Trace { name: name.to_owned(), events: self.events, threads: self.threads, tags: self.tags, ids }
    }
}

fn number(field: &'static str, text: &[u8], max: u64) -> Result<u64, Fault> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    parsed.filter(|&n| n <= max).ok_or_else(|| Fault::Number { field, text: shown(text), max })
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).chars().take(40).collect()
}
