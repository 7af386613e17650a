//! One thread takes a free slot while another takes both free slots and gives the first back: the head of the list is the
//! same slot again, with another successor, and the first thread must notice.

mod explore;

use crossbeam_epoch::Collector;
use explore::explore;
use freehold_core_on_loom::table::Table;
use loom::sync::Arc;

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

        let taker = loom::thread::spawn({
            let table = Arc::clone(&table);
            move || table.insert(0, 2, ())
        });
        let (first, second) = (table.insert(0, 3, ()), table.insert(0, 4, ()));
        table.retire(first, &reader.pin());
        let taken = taker.join().unwrap();
        assert_ne!(taken.key().index(), second.key().index());
        let books = table.audit(&reader.pin()).unwrap();
        assert_eq!((books.slots, books.live), (books.free + 2, 2));
    });
}
