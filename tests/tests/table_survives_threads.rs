//! Threads that insert, look up, scan and retire at once find whole entries under their own names, and the books close.
//! A guard that stands still meanwhile delays entries and nothing else (G4).
//! Not covered: orderings (`loom_tests`): a processor shows only some.

use std::sync::Mutex;
use std::thread;

use crossbeam_epoch::{Collector, pin};
use freehold_core::table::{HandleKey, Table};

const THREADS: u64 = 4;
const ROUNDS: u64 = 20_000;

#[test]
fn entries_are_found_whole_under_their_names() {
    let table = Table::new(crossbeam_epoch::default_collector().clone());
    // What is looked up: keys that any thread has published, live or stale by now.
    let published = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for id in 1..=THREADS {
            let (table, published) = (&table, &published);
            scope.spawn(move || churn(table, published, id));
        }
    });
    let guard = pin();
    let books = table.audit(&guard).expect("nobody else is at work");
    assert_eq!((books.live, table.len(), books.slots), (0, 0, books.free));
    assert!(u64::from(books.slots) <= THREADS * 8, "slots are used again: {books:?}");
}

/// Keeps eight entries, one of them replaced each round. A payload is what its key says it must be.
fn churn(table: &Table<Mutex<u64>>, published: &Mutex<Vec<HandleKey>>, seed: u64) {
    let mut owners = std::collections::VecDeque::new();
    let mut random = seed;
    for round in 0..ROUNDS {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        let guard = pin();
        if owners.len() == 8 {
            table.retire(owners.pop_front().expect("there are eight"), &guard);
        }
        let owner = table.insert(0, round, Mutex::new(0));
        *owner.payload().lock().expect("nobody panics") = owner.key().to_bits();
        let key = {
            let mut keys = published.lock().expect("nobody panics");
            keys.push(owner.key());
            keys[random as usize % keys.len()]
        };
        owners.push_back(owner);
        let look = |bits: u64, key: HandleKey| assert_eq!(bits, key.to_bits(), "seed {seed}, round {round}");
        if let Some(entry) = table.get(key, &guard) {
            look(*entry.payload().lock().expect("nobody panics"), key);
        }
        if round % 64 == 0 {
            assert!(table.iter(&guard).count() >= owners.len(), "a scan meets at least our own");
        }
    }
    let guard = pin();
    owners.drain(..).for_each(|owner| table.retire(owner, &guard));
}

#[test]
fn a_guard_that_stands_still_delays_entries_and_nothing_else() {
    let collector = Collector::new();
    let (table, payload) = (Table::new(collector.clone()), std::sync::Arc::new(()));
    let (stopped, worker) = (collector.register(), collector.register());
    let guard = stopped.pin();
    for tick in 0..1000 {
        let owner = table.insert(0, tick, payload.clone());
        table.retire(owner, &worker.pin());
    }
    assert_eq!(table.audit(&worker.pin()).map(|books| books.slots), Ok(1), "the slot was used a thousand times");
    assert!(std::sync::Arc::strong_count(&payload) > 900, "the guard may see them");
    drop(guard);
    (0..1000).for_each(|_| worker.pin().flush());
    assert_eq!(std::sync::Arc::strong_count(&payload), 1, "nobody can see them");
}
