//! The program's streams that a card's managers know by number.
//!
//! A stream is noted when it is first used, and kept alive: its work may be waited for long after the program has dropped it.
//! Its number is given to another once the program has dropped it and its work is done; a set that still has the old number
//! then waits for the new stream without need. To find a number, or the stream behind one, takes no lock.

use super::context::Context;
use super::library::refused;
use super::streams::{OWN, Raw, synchronize};
use crate::memory::DeviceError;
use crate::stream::StreamId;
use arc_swap::ArcSwapOption;
use cudarc::driver::{CudaStream, sys};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// `CU_STREAM_PER_THREAD`: one handle, and another stream in each thread.
const PER_THREAD: usize = 2;

#[derive(Debug)]
pub(super) struct Noted {
    /// For each number the raw stream plus one; 0: nobody. Relaxed: whoever finds his own stream here has it alive.
    raw: [AtomicU64; StreamId::COUNT],
    /// Keeps the streams alive.
    kept: [ArcSwapOption<CudaStream>; StreamId::COUNT],
    /// Taken when a stream is used for the first time.
    noting: Mutex<()>,
}

impl Default for Noted {
    fn default() -> Self {
        Noted {
            raw: [const { AtomicU64::new(0) }; StreamId::COUNT],
            kept: [const { ArcSwapOption::const_empty() }; StreamId::COUNT],
            noting: Mutex::new(()),
        }
    }
}

impl Noted {
    /// The number of a stream: one scan of a few words where it has one already.
    pub(super) fn number(&self, context: &Context, stream: &Arc<CudaStream>) -> Result<StreamId, DeviceError> {
        let raw = number_of(stream.cu_stream());
        match self.raw.iter().position(|slot| slot.load(Relaxed) == raw) {
            Some(number) => Ok(StreamId::new(number)),
            None => self.note(context, stream, raw),
        }
    }

    /// The stream of a number, unless its work is done and the program has dropped it.
    pub(super) fn stream(&self, stream: StreamId) -> Option<Arc<CudaStream>> {
        self.kept[stream.number()].load_full()
    }

    fn note(&self, context: &Context, stream: &Arc<CudaStream>, raw: u64) -> Result<StreamId, DeviceError> {
        if stream.cu_stream().addr() == PER_THREAD {
            let reason = "a thread's own default stream has the same handle as every other thread's: make one";
            return Err(DeviceError::new("note a stream", reason));
        }
        let _noting = self.noting.lock();
        let same = self.raw.iter().position(|slot| slot.load(Relaxed) == raw);
        let empty = || (OWN..StreamId::COUNT).find(|&number| self.kept[number].load().is_none());
        let number = same.or_else(empty).map_or_else(|| self.reclaim(context), Ok)?;
        self.kept[number].store(Some(Arc::clone(stream)));
        self.raw[number].store(raw, Relaxed);
        Ok(StreamId::new(number))
    }

    /// A number whose stream the program has dropped; its work is waited for. For whoever is noting.
    fn reclaim(&self, context: &Context) -> Result<usize, DeviceError> {
        let dropped = |number: &usize| {
            let kept = self.kept[*number].load();
            kept.as_ref().is_some_and(|stream| Arc::strong_count(stream) == 1)
        };
        let number = (OWN..StreamId::COUNT).find(dropped).ok_or_else(|| {
            DeviceError::new("note a stream", format_args!("{} streams are in use already", StreamId::COUNT))
        })?;
        let waited = context.bind().and_then(|_bound| {
            let stream = self.kept[number].load_full();
            stream.as_ref().map_or(Ok(()), |stream| synchronize(Raw(stream.cu_stream())))?;
            self.raw[number].store(0, Relaxed);
            // The stream's end enters the context, cudarc's way: while we are in it, so that the thread is put back.
            self.kept[number].store(None);
            Ok(())
        });
        waited.map(|()| number).map_err(|error| refused("wait for a dropped stream", error))
    }
}

/// A raw stream as a word that is never 0: the default stream is a null pointer.
fn number_of(stream: sys::CUstream) -> u64 {
    stream as u64 + 1
}
