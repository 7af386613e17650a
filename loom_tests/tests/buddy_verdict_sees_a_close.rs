//! A group is being closed (empty below, its token not yet above) while another thread looks for a granule: it is never told
//! that the arena is exactly full.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use freehold_core::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_close() {
    const { assert!(freehold_core::LOOM) };
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    loom::model(|| {
        SCHEDULES.fetch_add(1, Relaxed);
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(4), Bytes(12)).unwrap();
        let one = buddy.take(0, Offset(0), Bytes(1)).unwrap();
        // Granules 1, 2 and 3 are free from now on: freeing 0 closes their group.
        let other = Arc::clone(&buddy);
        let freeing = thread::spawn(move || other.slot(0).unwrap().free(one));
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        freeing.join().unwrap();
    });
    assert!(SCHEDULES.load(Relaxed) > 1);
}
