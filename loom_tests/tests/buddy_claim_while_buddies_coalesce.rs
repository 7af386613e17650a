//! One thread frees the last unit of a group, which closes it, while another claims from the same group: no granule is lost
//! and none has two owners.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn claim_while_buddies_coalesce() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        // Three of four groups are taken whole, and two granules of the last: what is free is what the race is about.
        let _taken = buddy.take(0, Offset(1), Bytes(11)).unwrap();
        let [last, first] = [(12, 2), (0, 1)].map(|(start, bytes)| buddy.take(0, Offset(start), Bytes(bytes)).unwrap());
        let other = Arc::clone(&buddy);
        let freeing = thread::spawn(move || {
            let mut slot = other.slot(0).unwrap();
            slot.free(last);
            // This free pushes the other out of the ring, and so the group is closed.
            slot.free(first);
        });
        let ours = buddy.allocate(1, Request::new(Bytes(2)));
        freeing.join().unwrap();
        // Two granules are free at every moment: a refusal can only be one that says "in flight".
        assert!(!matches!(ours, Err(AllocateError::Full { in_flight: false, .. })));
        let taken = 11 + ours.map_or(0, |block| block.bytes().get());
        assert_eq!(buddy.audit().unwrap().free, Bytes(16 - taken));
    });
}
