//! Two threads free the last two units of a group at once: it coalesces once, and the whole arena can be had again.
//! At most three preemptions a schedule: to the end it takes half a minute.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset};
use loom::{sync::Arc, thread};

#[test]
fn two_frees_complete_a_group() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let [left, right] = [0, 2].map(|start| buddy.take(0, Offset(start), Bytes(2)).unwrap());
        let [third, fourth] = [8, 12].map(|start| buddy.take(0, Offset(start), Bytes(4)).unwrap());
        let other = Arc::clone(&buddy);
        // The second free of each pushes the first out of its ring: the group is closed, by one of them.
        let freeing = thread::spawn(move || [left, third].map(|block| other.free(0, block)));
        for block in [right, fourth] {
            buddy.free(1, block);
        }
        freeing.join().unwrap();
        assert_eq!(buddy.audit().unwrap().free, Bytes(16));
        let whole = buddy.take(0, Offset(0), Bytes(16)).unwrap();
        assert_eq!(whole.bytes(), Bytes(16));
    });
}
