//! A slot is given back and acquired by another thread: it goes on from the first owner's counts, and none is lost (edge E4).

mod explore;

use explore::explore;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Request};
use loom::{sync::Arc, thread};

#[test]
fn slot_changes_hands() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(4), Bytes(1)).unwrap(), 1));
        let other = Arc::clone(&buddy);
        // One slot for both: who comes second waits for nothing and uses the shared one.
        let theirs = thread::spawn(move || other.allocate(0, Request::new(Bytes(1))).unwrap());
        let ours = buddy.allocate(0, Request::new(Bytes(2))).unwrap();
        let theirs = theirs.join().unwrap();
        assert_eq!(buddy.free_bytes(), Bytes(1));
        buddy.free(0, theirs);
        buddy.free(0, ours);
        assert_eq!(buddy.audit().unwrap().free, Bytes(4));
    });
}
