//! A slot puts its latest run back, a group's first token, and has not marked above it yet; another thread puts a second token,
//! which marks nothing, and searches: what it freed itself is there, so it is not told that the arena is exactly full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_the_latest_run_put_first() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 3));
        let _taken = buddy.take(0, Offset(2), Bytes(14)).unwrap();
        let second = buddy.take(0, Offset(1), Bytes(1)).unwrap();
        let mut slot = buddy.slot(0).unwrap();
        let first = slot.allocate(Request::new(Bytes(1))).unwrap();
        slot.free(first);
        let first = slot.allocate(Request::new(Bytes(1))).unwrap();
        // A refusal takes away the mark above group 0.
        assert!(buddy.allocate(1, Request::new(Bytes(1))).is_err());
        let other = Arc::clone(&buddy);
        let beside = thread::spawn(move || {
            other.slot(1).unwrap().free(second);
            let answer = other.slot(2).unwrap().allocate(Request::new(Bytes(1)));
            assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        });
        slot.free(first);
        beside.join().unwrap();
    });
}
