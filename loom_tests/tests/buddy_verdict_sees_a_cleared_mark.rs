//! One thread has looked into an empty group and takes its mark away, while another frees a granule there and looks for one itself:
//! until the mark is back that granule is hidden, and nobody is told that the arena is exactly full.
//! At most three preemptions a schedule: to the end it takes 15 seconds.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_cleared_mark() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 3));
        let _taken = buddy.take(0, Offset(1), Bytes(15)).unwrap();
        let last = buddy.take(0, Offset(0), Bytes(1)).unwrap();
        let slots = [0, 1, 2].map(|slot| buddy.slot(slot).unwrap());
        // All is taken, and group 0 still has the mark that its split left behind. This finds nothing, forgets what the hints
        // knew, and, through the slot for everybody, clears no mark.
        assert!(buddy.allocate(0, Request::new(Bytes(1))).is_err());
        drop(slots);
        // Two granules are never free.
        let other = Arc::clone(&buddy);
        let clearing = thread::spawn(move || other.slot(1).unwrap().allocate(Request::new(Bytes(2))).is_ok());
        // Freed through another slot, whose ring nobody else reads: only the complete search can find it.
        let (mut freeing, mut looking) = (buddy.slot(0).unwrap(), buddy.slot(2).unwrap());
        freeing.free(last);
        let answer = looking.allocate(Request::new(Bytes(1)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        assert!(!clearing.join().unwrap());
    });
}
