//! Two threads free the last two units of a group at once: it coalesces once, and the whole arena can be had again.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use freehold_core::{Buddy, Bytes, Geometry, Offset};
use loom::{sync::Arc, thread};

#[test]
fn two_frees_complete_a_group() {
    const { assert!(freehold_core::LOOM) };
    static SCHEDULES: AtomicUsize = AtomicUsize::new(0);
    loom::model(|| {
        SCHEDULES.fetch_add(1, Relaxed);
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let left = buddy.take(0, Offset(0), Bytes(2)).unwrap();
        let right = buddy.take(0, Offset(2), Bytes(2)).unwrap();
        let other = Arc::clone(&buddy);
        let freeing = thread::spawn(move || other.free(0, left));
        buddy.free(1, right);
        freeing.join().unwrap();
        assert_eq!(buddy.audit().unwrap().free, Bytes(16));
        let whole = buddy.take(0, Offset(0), Bytes(16)).unwrap();
        assert_eq!(whole.reserved(), Bytes(16));
    });
    assert!(SCHEDULES.load(Relaxed) > 1);
}
