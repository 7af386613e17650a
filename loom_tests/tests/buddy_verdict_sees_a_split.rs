//! A unit is being split (claimed above, the rest not yet published below) while another thread looks for a granule of that
//! rest: it is never told that the arena is exactly full.
//! At most three preemptions a schedule: to the end it takes minutes.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_split() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(4), Bytes(12)).unwrap();
        // One unit of four granules is left: whoever takes one granule of it splits it.
        let other = Arc::clone(&buddy);
        let splitting = thread::spawn(move || other.slot(0).unwrap().allocate(Request::new(Bytes(1))).is_ok());
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        splitting.join().unwrap();
    });
}
