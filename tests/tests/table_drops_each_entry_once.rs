//! Every payload is dropped exactly once: retired, left behind, or outliving the table with its owner.

use std::sync::Arc;

use crossbeam_epoch::Collector;
use freehold_core::table::Table;

#[test]
fn retired_entries_go_when_no_guard_can_see_them() {
    let collector = Collector::new();
    let table = Table::new(collector.clone());
    let (payload, reader) = (Arc::new(()), collector.register());
    let owner = table.insert(0, 0, Arc::clone(&payload));
    let guard = reader.pin();
    let seen = table.get(owner.key(), &guard).expect("it was inserted");
    table.retire(owner, &guard);
    assert_eq!(Arc::strong_count(seen.payload()), 2, "our guard still sees it");
    drop((guard, reader, table, collector));
    assert_eq!(Arc::strong_count(&payload), 1, "nobody can see it");
}

#[test]
fn what_is_left_goes_with_the_table_but_what_has_an_owner_stays() {
    let table = Table::new(Collector::new());
    let payload = Arc::new(());
    let owned = table.insert(0, 0, Arc::clone(&payload));
    drop(table.insert(0, 0, Arc::clone(&payload)));
    assert_eq!(table.len(), 2, "an owner that is dropped leaves its entry behind");
    drop(table);
    assert_eq!(Arc::strong_count(&payload), 2, "the owner outlives the table");
    assert_eq!(Arc::strong_count(owned.payload()), 2, "and reads on");
    drop(owned);
    assert_eq!(Arc::strong_count(&payload), 1);
}

#[test]
fn a_thousand_entries_span_segments_and_all_go() {
    let collector = Collector::new();
    let (table, payload) = (Table::new(collector.clone()), Arc::new(()));
    let mut owners: Vec<_> = (0..1000).map(|tick| table.insert(0, tick, Arc::clone(&payload))).collect();
    let reader = collector.register();
    for owner in owners.split_off(300) {
        table.retire(owner, &reader.pin());
    }
    let books = table.audit(&reader.pin()).expect("nobody else is at work");
    assert_eq!((books.slots, books.live, books.free, books.worn_out), (1000, 300, 700, 0));
    drop((owners, table, reader, collector));
    assert_eq!(Arc::strong_count(&payload), 1);
}
