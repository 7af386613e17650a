//! A granule is freed where the search has been, then a slot takes its latest run again where the search has not been yet: at
//! every moment one granule was free, so nobody is told that the arena is exactly full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_the_latest_run_taken() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(8), Bytes(1)).unwrap(), 3));
        let first = buddy.allocate(0, Request::new(Bytes(1))).unwrap();
        let _taken = buddy.allocate(0, Request::new(Bytes(6))).unwrap();
        let mut slot = buddy.slot(0).unwrap();
        let latest = slot.take(Offset(7), Bytes(1)).unwrap();
        slot.free(latest);
        let other = Arc::clone(&buddy);
        let searching = thread::spawn(move || {
            let answer = other.slot(1).unwrap().allocate(Request::new(Bytes(1)));
            assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        });
        buddy.free(2, first);
        let _again = slot.allocate(Request::new(Bytes(1)));
        searching.join().unwrap();
    });
}
