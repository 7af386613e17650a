//! What was found, in words that are the same in every run with the same calls: numbers of work, allocations and
//! streams, never addresses or times.

use crate::memory::Fault;
use crate::shadow::{Conflict, Kind, Touch};
use crate::state::World;
use std::fs::OpenOptions;
use std::io::Write;

/// As many findings as anybody reads.
const MOST: usize = 100;

impl World {
    pub(crate) fn report(&mut self, finding: String) {
        if self.reports.len() >= MOST {
            return;
        }
        if let Some(path) = std::env::var_os("FREEHOLD_SIM_REPORT") {
            // For programs that cannot be asked; one that ends in the middle has its findings told too.
            let file = OpenOptions::new().create(true).append(true).open(path);
            let _ = file.and_then(|mut file| writeln!(file, "{finding}"));
        }
        self.reports.push(finding);
    }

    pub(crate) fn report_conflict(&mut self, touch: Touch, kind: Kind, conflict: &Conflict) {
        let place = self.memory.name(conflict.bytes.start);
        let bytes = conflict.bytes.end - conflict.bytes.start;
        let (now, earlier) = (self.describe(touch), self.describe(conflict.earlier));
        let (kind, earlier_kind) = (verb(kind), verb(conflict.earlier_kind));
        self.report(format!(
            "race: {now} {kind} {bytes} bytes at {place}, which {earlier} {earlier_kind}; nothing orders the two"
        ));
    }

    pub(crate) fn report_unfinished(&mut self, action: &str, touch: Touch) {
        let touch = self.describe(touch);
        self.report(format!("lifetime: {action} while {touch} may still use it"));
    }

    pub(crate) fn report_fault(&mut self, what: &str, fault: Fault) {
        let work = self.works + 1;
        self.report(match fault {
            Fault::Nowhere => format!("fault: {what} (work {work}) touches an address at which there never was memory"),
            Fault::Freed(number) => {
                format!("fault: {what} (work {work}) touches allocation {number} after it was freed")
            }
            Fault::PastEnd(number) => format!("fault: {what} (work {work}) touches bytes behind allocation {number}"),
        });
    }

    fn describe(&self, touch: Touch) -> String {
        let stream = touch.stamp.component - 1;
        format!("{} (work {}, stream {stream})", touch.what, touch.work)
    }
}

fn verb(kind: Kind) -> &'static str {
    match kind {
        Kind::Read => "reads",
        Kind::Write => "writes",
    }
}
