//! A unit is being split (claimed above, the rest not yet published below) while another thread looks for a granule of that
//! rest: it is never told that the arena is exactly full.
//! At most three preemptions a schedule: to the end it takes minutes.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use freehold_core::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_split() {
    const { assert!(freehold_core::LOOM) };
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(3);
    model.check(|| {
        SCHEDULES.fetch_add(1, Relaxed);
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(4), Bytes(12)).unwrap();
        // One unit of four granules is left: whoever takes one granule of it splits it.
        let other = Arc::clone(&buddy);
        let splitting = thread::spawn(move || other.slot(0).unwrap().allocate(Request::new(Bytes(1))).is_ok());
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        splitting.join().unwrap();
    });
    assert!(SCHEDULES.load(Relaxed) > 1);
}
