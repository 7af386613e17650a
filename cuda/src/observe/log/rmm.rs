//! The log as RMM writes its own: `Thread,Time,Action,Pointer,Size,Stream`, a line for each block of memory that was given out,
//! taken back or refused. Source: rmm, `logging_resource_adaptor`; its `REPLAY_BENCH` and plotting scripts read this.

use super::{Entry, EventLog, Op};
use std::io::{self, Write};

impl EventLog {
    /// Writes the blocks' comings and goings in the format of RMM's logging adaptor. An eviction is a `free`, and a move is a `free`
    /// and an `allocate`. Streams are not told apart.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_rmm_csv(&self, mut out: impl Write) -> io::Result<()> {
        writeln!(out, "Thread,Time,Action,Pointer,Size,Stream")?;
        for entry in &self.history().entries {
            let mut line = |action: &str, address: u64| self.rmm_line(&mut out, entry, action, address);
            match entry.op {
                Op::Placed => line("allocate", entry.address)?,
                Op::Left => line("free", entry.address)?,
                Op::Refused => line("allocate failure", 0)?,
                Op::Moved => {
                    line("free", entry.address)?;
                    line("allocate", entry.rest)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn rmm_line(&self, out: &mut impl Write, entry: &Entry, action: &str, address: u64) -> io::Result<()> {
        let time = self.time_of(entry);
        let seconds = time.as_secs() % (24 * 60 * 60);
        let (h, m, s, us) = (seconds / 3600, seconds / 60 % 60, seconds % 60, time.subsec_micros());
        let pointer = if address == 0 { "(nil)".to_owned() } else { format!("{address:#x}") };
        writeln!(out, "{},{h:02}:{m:02}:{s:02}.{us:06},{action},{pointer},{},0", entry.thread, entry.bytes)
    }
}
