//! The bundled traces as placement sees them: blocks that begin and end, in order. The format is told in
//! `tests/traces/README.md`; whoever wants a trace checked uses `freehold pack`.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

/// A recorded run.
#[derive(Debug)]
pub struct Trace {
    /// The file's name without its endings.
    pub name: String,
    /// What happens, in order.
    pub events: Vec<Event>,
    /// How many blocks there are in all.
    pub blocks: usize,
    /// The most bytes live at once.
    pub peak_bytes: u64,
}

/// One block's begin or end.
#[derive(Clone, Copy, Debug)]
pub enum Event {
    /// The block with this number begins, with so many bytes.
    Begin(usize, u64),
    /// It ends.
    End(usize),
}

impl Trace {
    /// Reads one.
    ///
    /// # Panics
    /// Where the file is not as the format says.
    pub fn read(path: &Path) -> Trace {
        let shown = path.display();
        let stream = File::open(path).and_then(zstd::Decoder::new).unwrap_or_else(|error| panic!("{shown}: {error}"));
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().trim_end_matches(".csv.zst");
        let mut trace = Trace { name: name.to_owned(), events: Vec::new(), blocks: 0, peak_bytes: 0 };
        let mut live = HashMap::new();
        let mut live_bytes = 0;
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap_or_else(|error| panic!("{shown}: {error}"));
            let fields: Vec<&str> = line.split(',').collect();
            let [_, _, op, id, bytes, ..] = fields[..] else { continue };
            match op {
                "alloc" | "acquire" | "load" => {
                    let bytes: u64 = bytes.parse().unwrap_or_else(|_| panic!("{shown}: {line}"));
                    if bytes > 0 {
                        live.insert(id.to_owned(), (trace.blocks, bytes));
                        trace.events.push(Event::Begin(trace.blocks, bytes));
                        trace.blocks += 1;
                        live_bytes += bytes;
                        trace.peak_bytes = trace.peak_bytes.max(live_bytes);
                    }
                }
                "free" | "release" | "unload" => {
                    if let Some((block, bytes)) = live.remove(id) {
                        trace.events.push(Event::End(block));
                        live_bytes -= bytes;
                    }
                }
                _ => {}
            }
        }
        trace
    }
}
