//! A reader looks an entry up while its owner retires it, and the collector runs as fast as it can: what the reader found
//! is not dropped until its guard is.
//!
//! Whoever runs this bounds the preemptions of a run to two (`LOOM_MAX_PREEMPTIONS`), because the epochs' own steps are many.

#[path = "../../tests/explore/mod.rs"]
mod explore;
#[path = "../../tests/memory/mod.rs"]
mod memory;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use crossbeam_epoch::Collector;
use explore::explore;
use freehold_core_on_loom::table::{HandleKey, Table};
use loom::sync::Arc;
use memory::Memory;

// How often each side won, over all runs: a model in which one never does shows nothing.
static FOUND: AtomicUsize = AtomicUsize::new(0);
static COLLECTED_EARLY: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Writes to its bytes when it is dropped, which loom compares with every read.
struct Payload(Memory);

impl Drop for Payload {
    fn drop(&mut self) {
        self.0.write(0xDEAD);
        DROPPED.fetch_add(1, Relaxed);
    }
}

fn look_up(table: &Table<Payload>, collector: &Collector, key: HandleKey) {
    let local = collector.register();
    let guard = local.pin();
    if let Some(entry) = table.get(key, &guard) {
        assert_eq!(entry.payload().0.read(), 0, "not dropped yet");
        FOUND.fetch_add(1, Relaxed);
    }
}

#[test]
fn what_a_guard_sees_is_not_dropped() {
    const { assert!(cfg!(crossbeam_loom), "the epochs must run on loom too") };
    let explored = explore(|| {
        let collector = Collector::new();
        let table = Arc::new(Table::new(collector.clone()));
        let owner = table.insert(0, 0, Payload(Memory::default()));
        let (key, dropped_before) = (owner.key(), DROPPED.load(Relaxed));

        let reader = loom::thread::spawn({
            let (table, collector) = (Arc::clone(&table), collector.clone());
            move || look_up(&table, &collector, key)
        });
        let local = collector.register();
        table.retire(owner, &local.pin());
        (0..3).for_each(|_| local.pin().flush());
        COLLECTED_EARLY.fetch_add(DROPPED.load(Relaxed) - dropped_before, Relaxed);
        reader.join().unwrap();
        assert!(table.get(key, &local.pin()).is_none());
    });
    assert_eq!(DROPPED.load(Relaxed), explored, "each run's entry, once");
    assert!(FOUND.load(Relaxed) > 0 && COLLECTED_EARLY.load(Relaxed) > 0, "each side wins at times");
    println!("found {FOUND:?}, collected before the reader was done {COLLECTED_EARLY:?} times");
}
