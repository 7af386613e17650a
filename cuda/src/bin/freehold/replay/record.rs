//! What a replay leaves behind for other tools: the manager's log as a trace or as RMM's CSV, and a snapshot of its end.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::world::World;
use crate::args::ReplayArgs;
use crate::failure::Failure;
use crate::trace::Trace;

/// What an event of a trace is in the log, at most and in the mean: its label, its use, its coming and going.
const RECORDS_AN_EVENT: usize = 8;

/// How many records the log of a replay keeps; `None` where nobody asked for one.
pub(super) fn log_records(trace: &Trace, args: &ReplayArgs) -> Option<usize> {
    let asked = args.log.is_some() || args.rmm_csv.is_some() || args.snapshot.is_some();
    asked.then(|| RECORDS_AN_EVENT * trace.events.len().max(1024))
}

/// Writes what was asked for.
pub(super) fn write(world: &World<'_>, args: &ReplayArgs) -> Result<(), Failure> {
    let Some(log) = world.manager.event_log() else { return Ok(()) };
    if log.lost() > 0 {
        eprintln!("freehold: the log lost {} of {} records", log.lost(), log.recorded());
    }
    if let Some(path) = &args.log {
        file(path, |out| {
            let mut out = zstd::Encoder::new(out, 0)?;
            log.write_trace(&mut out, world.setup.scale.0.get())?;
            out.finish().map(drop)
        })?;
    }
    if let Some(path) = &args.rmm_csv {
        file(path, |out| log.write_rmm_csv(out))?;
    }
    if let Some(path) = &args.snapshot {
        let snapshot = world.manager.snapshot();
        file(path, |out| match path.extension() {
            Some(extension) if extension == "pickle" => snapshot.write_pickle(out),
            _ => snapshot.write_json(out),
        })?;
    }
    Ok(())
}

fn file(path: &Path, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(), Failure> {
    let written = File::create(path).and_then(|file| {
        let mut out = BufWriter::new(file);
        write(&mut out).and_then(|()| out.flush())
    });
    written.map_err(|source| Failure::File { path: path.to_owned(), source })
}
