//! An entry is looked up while it is being inserted, into a new segment or a used slot: it is found whole or not at all.

mod explore;
mod memory;

use crossbeam_epoch::Collector;
use explore::explore;
use freehold_core_on_loom::table::{HandleKey, Table};
use loom::sync::Arc;
use memory::Memory;

/// Looks for `key` while it is being given to an entry.
fn get_during_insert(table: Table<Memory>, collector: Collector, key: HandleKey) {
    let table = Arc::new(table);
    let looker = loom::thread::spawn({
        let table = Arc::clone(&table);
        move || {
            let reader = collector.register();
            if let Some(entry) = table.get(key, &reader.pin()) {
                assert_eq!((entry.key(), entry.priority(), entry.last_use()), (key, 1, 2));
                assert_eq!(entry.payload().read(), 7);
            }
        }
    });
    let bytes = Memory::default();
    bytes.write(7);
    let owner = table.insert(1, 2, bytes);
    looker.join().unwrap();
    assert_eq!(owner.key(), key);
}

#[test]
fn get_sees_a_whole_entry_in_a_new_segment() {
    explore(|| {
        let collector = Collector::new();
        let table = Table::new(collector.clone());
        get_during_insert(table, collector, HandleKey::from_bits(1 << 32).unwrap());
    });
}

#[test]
fn get_sees_a_whole_entry_in_a_used_slot() {
    explore(|| {
        let collector = Collector::new();
        let table = Table::new(collector.clone());
        table.retire(table.insert(0, 0, Memory::default()), &collector.register().pin());
        get_during_insert(table, collector, HandleKey::from_bits(2 << 32).unwrap());
    });
}

#[test]
fn of_two_segments_made_at_once_one_stays() {
    explore(|| {
        let table = Arc::new(Table::new(Collector::new()));
        let other = loom::thread::spawn({
            let table = Arc::clone(&table);
            move || table.insert(0, 1, ())
        });
        let owners = [table.insert(0, 2, ()), other.join().unwrap(), table.insert(0, 3, ())];
        let mut indices = owners.each_ref().map(|owner| owner.key().index());
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2]);
    });
}
