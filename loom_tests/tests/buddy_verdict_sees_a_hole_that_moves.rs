//! A granule is freed where the search has been, then one is taken where it has not been yet: at every moment one granule was
//! free, so nobody is told that the arena is exactly full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_hole_that_moves() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(8), Bytes(1)).unwrap(), 2));
        let first = buddy.allocate(0, Request::new(Bytes(1))).unwrap();
        let _taken = buddy.allocate(0, Request::new(Bytes(6))).unwrap();
        // Only granule 7 is free. The mover frees 0, and takes 7 after that.
        let other = Arc::clone(&buddy);
        let moving = thread::spawn(move || {
            let mut slot = other.slot(0).unwrap();
            slot.free(first);
            slot.take(Offset(7), Bytes(1)).is_some()
        });
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        moving.join().unwrap();
    });
}
