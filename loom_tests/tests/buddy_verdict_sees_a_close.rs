//! A group is being closed (empty below, its token not yet above) while another thread looks for a granule: it is never told
//! that the arena is exactly full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_close() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(4), Bytes(11)).unwrap();
        let [one, last] = [0, 15].map(|start| buddy.take(0, Offset(start), Bytes(1)).unwrap());
        // Granules 1, 2 and 3 are free from now on. Freeing 0 fills their group, and the next free closes it.
        let other = Arc::clone(&buddy);
        let freeing = thread::spawn(move || {
            let mut slot = other.slot(0).unwrap();
            slot.free(one);
            slot.free(last);
        });
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        freeing.join().unwrap();
    });
}
