//! Two threads allocate from the last word at once: each gets granules of its own, or is told that the arena is full.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Request};
use loom::{sync::Arc, thread};

#[test]
fn two_claims_in_one_word() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(4), Bytes(1)).unwrap(), 2));
        let other = Arc::clone(&buddy);
        let theirs = thread::spawn(move || other.allocate(0, Request::new(Bytes(2))).unwrap());
        let ours = buddy.allocate(1, Request::new(Bytes(2))).unwrap();
        assert_ne!(theirs.join().unwrap().offset(), ours.offset());
        assert_eq!(buddy.audit().unwrap().free, Bytes(0));
    });
}
