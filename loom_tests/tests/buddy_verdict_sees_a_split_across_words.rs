//! The unit in the middle of the only hole long enough is being split while another thread looks for that hole, and the rest
//! of the search never comes back to its word: nobody is told that the arena is exactly full.
//! At most three preemptions a schedule: to the end it takes minutes.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_split_across_words() {
    explore_within(3, || {
        // Four whole units and a tail of three granules: the last unit and the tail are free.
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(19), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(0), Bytes(12)).unwrap();
        let other = Arc::clone(&buddy);
        let splitting = thread::spawn(move || other.slot(0).unwrap().take(Offset(12), Bytes(1)).is_some());
        // Six of the seven granules stay free and together all the time.
        let answer = buddy.slot(1).unwrap().allocate(Request::new(Bytes(6)));
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
        splitting.join().unwrap();
    });
}
