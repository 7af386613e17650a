//! A hole of two groups moves behind the search: it is freed where the search has been, and what lies before the search is taken. Of a
//! long request one group in so many is looked at; still nobody is told that the arena is exactly full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_long_hole_that_moves() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(32), Bytes(1)).unwrap(), 6));
        let low = buddy.take(0, Offset(0), Bytes(8)).unwrap();
        // Granule 9 stays free: a group with a token ahead is not passed over in one step.
        let _taken = [(8, 1), (10, 14)].map(|(start, bytes)| buddy.take(0, Offset(start), Bytes(bytes)).unwrap());
        // The last eight granules are free in pieces that stand in four rings, so nobody has closed their groups.
        let pieces = [24, 26, 28, 30].map(|start| buddy.take(0, Offset(start), Bytes(2)).unwrap());
        // This finds nothing, and forgets what the hints knew.
        assert!(buddy.allocate(0, Request::new(Bytes(7))).is_err());
        (1..).zip(pieces).for_each(|(slot, piece)| buddy.free(slot, piece));
        let other = Arc::clone(&buddy);
        let moving = thread::spawn(move || {
            other.free(0, low);
            other.take(0, Offset(24), Bytes(8)).is_some()
        });
        let answer = buddy.allocate(5, Request::new(Bytes(7)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        moving.join().unwrap();
    });
}
