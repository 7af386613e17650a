//! The recorder: an onlooker at the manager that fills the picture while the replay runs.
//!
//! It hears the manager's events, is told each step and each refusal of the replay, and looks at the arenas at the end of each
//! column. One lock guards all of it: with `--report` a replay of several threads pays for that, and without it nobody does.

use std::sync::Arc;
use std::time::Instant;

use freehold_cuda::{Error, Event, Observer, VramManager};
use parking_lot::Mutex;

use super::columns::Columns;
use super::groups::Groups;
use super::hindsight::Hindsight;
use super::picture::Gathered;
use super::raster::Raster;
use super::refusals::Refusals;
use crate::trace::Trace;

/// Who writes down what happens.
#[derive(Debug)]
pub(crate) struct Recorder {
    begun: Instant,
    groups: Groups,
    books: Mutex<Books>,
}

#[derive(Debug)]
struct Books {
    columns: Columns,
    raster: Raster,
    hindsight: Hindsight,
    refusals: Refusals,
}

impl Recorder {
    pub(crate) fn new(trace: &Trace) -> Recorder {
        let books = Books {
            columns: Columns::new(trace.events.len() as u64),
            raster: Raster::default(),
            hindsight: Hindsight::default(),
            refusals: Refusals::default(),
        };
        Recorder { begun: Instant::now(), groups: Groups::of(trace), books: Mutex::new(books) }
    }

    /// A weight became known.
    pub(crate) fn know(&self, id: u64, label: &Arc<str>, priority: i32) {
        self.books.lock().hindsight.know(id, label, priority);
    }

    /// A weight is being used.
    pub(crate) fn used(&self, id: u64) {
        let books = &mut *self.books.lock();
        books.hindsight.used(id, books.columns.done());
    }

    /// A weight's last handle is about to go.
    pub(crate) fn gone(&self, id: u64) {
        self.books.lock().hindsight.gone(id);
    }

    /// A request got no memory.
    pub(crate) fn refused(&self, plugin: &str, requested: u64, error: &Error) {
        let books = &mut *self.books.lock();
        books.columns.now().refused += 1;
        books.refusals.add(self.groups.group(plugin), requested, error);
    }

    /// An event of the trace is done. At the end of a column it looks around.
    pub(crate) fn stepped(&self, manager: &VramManager) {
        let resident = manager.stats().resident_bytes;
        let ended = {
            let columns = &mut self.books.lock().columns;
            let column = columns.now();
            column.peak_resident = column.peak_resident.max(resident);
            columns.step()
        };
        if let Some(column) = ended {
            self.look(column, manager);
        }
    }

    /// The replay is over, and everything still there. Call it once.
    pub(crate) fn finish(&self, manager: &VramManager) -> Gathered {
        let last = self.books.lock().columns.len() - 1;
        self.look(last, manager);
        let books = &mut *self.books.lock();
        Gathered {
            groups: self.groups.names().to_vec(),
            series: books.columns.series(),
            raster: std::mem::take(&mut books.raster).finish(last + 1),
            dearest: Gathered::dearest(&books.hindsight, &self.groups),
            refusals: books.refusals.rows(),
        }
    }

    /// Writes down who lies where at the end of a column.
    fn look(&self, number: usize, manager: &VramManager) {
        let seen = manager.snapshot();
        let books = &mut *self.books.lock();
        books.raster.look(number, &seen, &self.groups);
        let column = books.columns.at(number);
        column.end_ns = u64::try_from(self.begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        for piece in seen.arenas.iter().flat_map(|arena| &arena.pieces) {
            if let Some(entry) = &piece.entry {
                column.resident[usize::from(self.groups.group(&entry.plugin))] += piece.bytes;
            }
        }
    }
}

impl Observer for Recorder {
    fn event(&self, event: &Event) {
        let books = &mut *self.books.lock();
        let now = books.columns.done();
        match event {
            Event::Loaded { id, bytes, plugin, .. } => {
                let upload = books.hindsight.loaded(*id, bytes.get(), plugin, now);
                books.columns.now().uploads[upload as usize].add(bytes.get());
            }
            Event::Evicted { id, bytes, plugin, needed_by, .. } => {
                books.hindsight.evicted(*id, now);
                let pair = (self.groups.group(needed_by), self.groups.group(plugin));
                books.columns.now().evictions.entry(pair).or_default().add(bytes.get());
            }
            Event::Moved { bytes, .. } => books.columns.now().moved.add(bytes.get()),
            _ => {}
        }
    }
}
