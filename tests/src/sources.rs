//! Sources for tests. The probe can be told to fail, to panic, to come up short, to give too much, or to wait, and counts
//! its calls; the moody one decides for itself.

use crate::seeded::Random;
use crate::world::content;
use freehold_cuda::{Bytes, Sink, Source, SourceError};
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Condvar, Mutex, Once};

/// What a [`Probe`] does when it is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    /// Gives its bytes.
    #[default]
    Good,
    /// Gives half of them and returns an error.
    Fails,
    /// Gives half of them and panics.
    Panics,
    /// Gives one byte too few and says that all is well.
    Short,
    /// Gives one byte too many, in two pieces, and says that all is well.
    Long,
    /// Gives nothing as long as a [`Holding`] lives; then its bytes.
    Waits,
}

/// The source of `content(seed)`.
#[derive(Debug)]
pub struct Probe {
    seed: u64,
    bytes: Bytes,
    calls: AtomicU64,
    manner: Mutex<Manner>,
    changed: Condvar,
}

impl Probe {
    /// A good source of `content(seed)`.
    #[must_use]
    pub fn new(seed: u64, bytes: Bytes) -> Arc<Probe> {
        let (calls, manner, changed) = (AtomicU64::new(0), Mutex::default(), Condvar::new());
        Arc::new(Probe { seed, bytes, calls, manner, changed })
    }

    /// From now on.
    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("panics are outside") = manner;
        self.changed.notify_all();
    }

    /// Makes whoever asks wait until the guard goes; on the way of a panic too, so that no test hangs.
    pub fn hold(&self) -> Holding<'_> {
        self.behave(Manner::Waits);
        Holding(self)
    }

    /// How often it was asked. SeqCst: tests compare counts of several probes.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls.load(SeqCst)
    }

    /// Returns when it has been asked `calls` times.
    pub fn await_calls(&self, calls: u64) {
        while self.calls() < calls {
            std::thread::yield_now();
        }
    }

    fn manner(&self) -> Manner {
        let guard = self.manner.lock().expect("panics are outside");
        *self.changed.wait_while(guard, |manner| *manner == Manner::Waits).expect("panics are outside")
    }
}

/// See [`Probe::hold`].
#[derive(Debug)]
pub struct Holding<'a>(&'a Probe);

impl Drop for Holding<'_> {
    fn drop(&mut self) {
        self.0.behave(Manner::Good);
    }
}

impl Source for Probe {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        self.calls.fetch_add(1, SeqCst);
        let manner = self.manner();
        let content = content(self.seed, self.bytes);
        let (half, rest) = content.split_at(content.len() / 2);
        sink.write(half)?;
        match manner {
            Manner::Good | Manner::Waits => sink.write(rest),
            Manner::Fails => Err(SourceError::new("the disk is gone")),
            Manner::Panics => panic!("the source fell over"),
            Manner::Short => sink.write(&rest[..rest.len() - 1]),
            Manner::Long => {
                sink.write(rest)?;
                let _ = sink.write(&[0xEE]); // it does not listen
                Ok(())
            }
        }
    }
}

/// A source of `content(seed)` that is often good, and otherwise fails, panics, comes up short, gives too much, or dawdles; by
/// the count of its calls, so that a repeated run repeats it.
#[derive(Debug)]
pub struct Moody {
    seed: u64,
    probe: Arc<Probe>,
}

impl Moody {
    /// About one call in six goes wrong.
    #[must_use]
    pub fn new(seed: u64, bytes: Bytes) -> Moody {
        Moody { seed, probe: Probe::new(seed, bytes) }
    }
}

impl Source for Moody {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        match Random::new(self.seed, self.probe.calls()).below(24) {
            0 => self.probe.behave(Manner::Fails),
            1 => self.probe.behave(Manner::Panics),
            2 => self.probe.behave(Manner::Short),
            3 => self.probe.behave(Manner::Long),
            4 => std::thread::sleep(std::time::Duration::from_micros(500)),
            5 => std::thread::yield_now(),
            _ => self.probe.behave(Manner::Good),
        }
        self.probe.fill(sink)
    }
}

/// Panics of sources are part of some tests: their reports would only hide the real ones.
pub fn silence_panics_of_sources() {
    static SILENT: Once = Once::new();
    SILENT.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&"the source fell over") {
                usual(info);
            }
        }));
    });
}
