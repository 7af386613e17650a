//! One thread takes a free slot while another takes both free slots and gives the first back: the head of the list is the
//! same slot again, with another successor, and the first thread must notice.

mod table_model;

use crossbeam_epoch::Collector;
use freehold_core::table::Table;
use loom::sync::Arc;
use table_model::explore;

#[test]
fn freed_slot_is_handed_out_once() {
    explore(|| {
        let collector = Collector::new();
        let table = Arc::new(Table::new(collector.clone()));
        let reader = collector.register();
        let owners = [0, 1].map(|tick| table.insert(0, tick, ()));
        for owner in owners {
            table.retire(owner, &reader.pin());
        }

        let other = loom::thread::spawn({
            let (table, collector) = (Arc::clone(&table), collector.clone());
            move || {
                let (first, second) = (table.insert(0, 2, ()), table.insert(0, 3, ()));
                table.retire(first, &collector.register().pin());
                second
            }
        });
        let ours = table.insert(0, 4, ());
        let theirs = other.join().unwrap();
        assert_ne!(ours.key().index(), theirs.key().index());
        let books = table.audit(&reader.pin()).unwrap();
        assert_eq!((books.slots, books.live), (books.free + 2, 2));
    });
}
