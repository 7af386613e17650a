//! One thread puts a group's first token and has not marked above it yet; another puts a second one, which marks nothing, and
//! searches: what it freed itself is there, so it is not told that the arena is exactly full (edge E2).

mod explore;

use explore::explore;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_first_token() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 3));
        let _taken = buddy.take(0, Offset(2), Bytes(14)).unwrap();
        let [first, second] = [0, 1].map(|at| buddy.take(0, Offset(at), Bytes(1)).unwrap());
        // A refusal takes away the mark above group 0.
        assert!(buddy.allocate(0, Request::new(Bytes(1))).is_err());
        let other = Arc::clone(&buddy);
        let beside = thread::spawn(move || {
            other.slot(1).unwrap().free(second);
            let answer = other.slot(2).unwrap().allocate(Request::new(Bytes(1)));
            assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        });
        buddy.slot(0).unwrap().free(first);
        beside.join().unwrap();
    });
}
