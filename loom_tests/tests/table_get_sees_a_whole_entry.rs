//! An entry is looked up while it is being inserted into a table that has no slots yet: it is found whole or not at all.

mod table_model;

use crossbeam_epoch::Collector;
use freehold_core::table::{HandleKey, Table};
use loom::sync::Arc;
use table_model::{Bytes, explore};

#[test]
fn get_sees_a_whole_entry() {
    explore(|| {
        let collector = Collector::new();
        let table = Arc::new(Table::<Bytes>::new(collector.clone()));
        let first = HandleKey::from_bits(1 << 32).unwrap();
        let looker = loom::thread::spawn({
            let (table, collector) = (Arc::clone(&table), collector.clone());
            move || {
                let reader = collector.register();
                if let Some(entry) = table.get(first, &reader.pin()) {
                    assert_eq!((entry.key(), entry.priority(), entry.last_use()), (first, 1, 2));
                    assert_eq!(entry.payload().read(), 7);
                }
            }
        });
        let bytes = Bytes::default();
        bytes.write(7);
        let owner = table.insert(1, 2, bytes);
        looker.join().unwrap();
        assert_eq!(owner.key(), first);
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
