//! The pool of the process is installed, replaced, refused and taken away as P10 says. One test: there is one such pool.

use std::fmt;
use std::sync::{Arc, Mutex};

use freehold_core::Bytes;
use freehold_cuda::admission::GlobalPoolError;
use freehold_cuda::{global_pool, init_global_pool, set_global_pool};

const GIB: u64 = 1 << 30;

/// The log of one thread, a line an event.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

struct Line(String);

impl tracing::field::Visit for Line {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn fmt::Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

impl tracing::Subscriber for Log {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        *metadata.level() <= tracing::Level::INFO
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[test]
fn the_pool_of_the_process() {
    assert!(global_pool().is_none(), "nobody installed one");

    let log = Log::default();
    let first = tracing::subscriber::with_default(log.clone(), || init_global_pool(1.5, 2)).unwrap().unwrap();
    let lines = log.0.lock().unwrap().clone();
    let [line] = &lines[..] else { panic!("one line was to be logged: {lines:?}") };
    for part in ["bytes=805306368", "budget_bytes=1610612736", "processes=2"] {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(first.total_bytes(), Bytes(3 * GIB / 4));
    assert_eq!(global_pool().unwrap().total_bytes(), first.total_bytes());

    // An uneven budget is cut off, first to whole bytes and then to whole bytes a process.
    let third = init_global_pool(10.0 / GIB as f64, 3).unwrap().unwrap();
    assert_eq!(third.total_bytes(), Bytes(3));
    let lease = third.acquire_owned(2).wait().unwrap();

    // Refusals name their numbers and leave the installed pool alone.
    for (gib, processes) in [(1.0, 0), (1.0, -3)] {
        let refused = init_global_pool(gib, processes).unwrap_err();
        assert_eq!(refused, GlobalPoolError::NoProcesses { gib, processes });
        assert!(refused.to_string().contains(&processes.to_string()));
    }
    let empty = init_global_pool(3.0 / GIB as f64, 4).unwrap_err();
    assert_eq!(empty, GlobalPoolError::EmptySlice { budget: Bytes(3), processes: 4 });
    for gib in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(init_global_pool(gib, 1), Err(GlobalPoolError::NotFinite { .. })));
    }
    assert!(matches!(init_global_pool(1e12, 1), Err(GlobalPoolError::Pool(_))), "2^70 bytes are no budget");
    assert_eq!(global_pool().unwrap().total_bytes(), Bytes(3));

    // A replaced pool gets its leases back.
    let fourth = init_global_pool(1.0, 1).unwrap().unwrap();
    assert_eq!(third.available_bytes(), Bytes(1));
    drop(lease);
    assert_eq!((third.available_bytes(), fourth.available_bytes()), (Bytes(3), Bytes(GIB)));

    // Gating off, whatever the number of processes; and a pool of one's own.
    assert!(init_global_pool(0.0, 0).unwrap().is_none() && global_pool().is_none());
    assert!(set_global_pool(Some(first)).is_none());
    assert!(init_global_pool(-1.0, 1).unwrap().is_none() && global_pool().is_none());
}
