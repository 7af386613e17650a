//! From a compressed file to a [`Trace`], in one pass; whatever is wrong is said with the file and the line.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use csv::{ByteRecord, ErrorKind, Reader, ReaderBuilder};
use thiserror::Error;

use super::Trace;
use super::event::{Event, Op};
use super::validate::{Fault, Ids};

const FIELDS: [&str; 7] = ["t_us", "thread", "op", "id", "bytes", "stream", "tag"];
const HEADER: &str = "t_us,thread,op,id,bytes,stream,tag";

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
    let shown = path.display().to_string();
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

/// `a/b/mix_serial.csv.zst` is the trace `mix_serial`.
fn stem(path: &Path) -> String {
    let file = path.file_name().unwrap_or(path.as_os_str()).to_string_lossy();
    let file = file.strip_suffix(".zst").unwrap_or(&file);
    file.strip_suffix(".csv").unwrap_or(file).to_owned()
}

fn read(stream: impl Read, path: &str, name: &str) -> Result<Trace, TraceError> {
    let mut options = ReaderBuilder::new();
    options.comment(Some(b'#')).quoting(false).buffer_capacity(1 << 17);
    let mut lines = options.from_reader(stream);
    let mut building = Building::default();
    let at = |line, fault| TraceError::Line { path: path.to_owned(), line, fault };
    check_header(&mut lines).map_err(|fault| at(lines.position().line(), fault))?;
    let mut record = ByteRecord::new();
    // Bounded by the lines of the file.
    while lines.read_byte_record(&mut record).map_err(|error| at(line_of(&error, &lines), damage(error)))? {
        let line = record.position().map_or(0, csv::Position::line);
        building.push(&record).map_err(|fault| at(line, fault))?;
    }
    if building.events.is_empty() {
        return Err(TraceError::Empty { path: path.to_owned() });
    }
    Ok(building.finish(name))
}

fn check_header(lines: &mut Reader<impl Read>) -> Result<(), Fault> {
    let header = lines.byte_headers().map_err(damage)?;
    if header.iter().eq(FIELDS.map(str::as_bytes)) {
        return Ok(());
    }
    let found = header.iter().map(String::from_utf8_lossy).collect::<Vec<_>>().join(",");
    Err(Fault::Header { expected: HEADER, found: found.chars().take(80).collect() })
}

fn damage(error: csv::Error) -> Fault {
    match error.into_kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => Fault::Fields { expected: expected_len, found: len },
        ErrorKind::Io(error) => Fault::Damaged(error.to_string()),
        other => Fault::Damaged(format!("{other:?}")),
    }
}

fn line_of(error: &csv::Error, lines: &Reader<impl Read>) -> u64 {
    error.position().unwrap_or(lines.position()).line()
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
    fn push(&mut self, record: &ByteRecord) -> Result<(), Fault> {
        let field = |index: usize| &record[index];
        number(FIELDS[0], field(0), u64::MAX)?;
        let thread = number(FIELDS[1], field(1), u64::from(u32::MAX))?;
        let op = Op::parse(field(2)).ok_or_else(|| Fault::UnknownOp(shown(field(2))))?;
        let id = number(FIELDS[3], field(3), u64::MAX)?;
        let bytes = number(FIELDS[4], field(4), u64::MAX)?;
        number(FIELDS[5], field(5), u64::from(u32::MAX))?;
        let id = self.ids.step(op, id, bytes)?;
        let (thread, tag) = (self.thread(thread as u32)?, self.tag(field(6))?);
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
        u16::try_from(index).map_err(|_| Fault::TooMany { what: "threads", max: u64::from(u16::MAX) })
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
