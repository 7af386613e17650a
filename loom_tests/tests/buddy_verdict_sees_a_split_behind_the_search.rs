//! A search begins at a unit, and finds it split when it comes back to it from the end of its window; nothing after that leads to
//! the unit's word again. The split has left enough for it, so nobody is told that the arena is exactly full.
//! At most three preemptions a schedule: to the end it takes a minute.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{AllocateError, Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn verdict_sees_a_split_behind_the_search() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(19), Bytes(1)).unwrap(), 3));
        let [_taken, hole] =
            [(0, 12), (12, 7)].map(|(start, bytes)| buddy.take(0, Offset(start), Bytes(bytes)).unwrap());
        let mut slots = [0, 1, 2].map(|slot| buddy.slot(slot).unwrap());
        // This finds nothing, and forgets what the hints knew: only the complete search can find what another slot's ring has.
        assert!(buddy.allocate(0, Request::new(Bytes(6))).is_err());
        slots[0].free(hole);
        drop(slots);
        // A unit of four granules and a tail of three are free.
        let other = Arc::clone(&buddy);
        let looking = thread::spawn(move || other.slot(2).unwrap().allocate(Request::new(Bytes(6))));
        let mut slot = buddy.slot(1).unwrap();
        let _split = slot.take(Offset(12), Bytes(1));
        // Six of the seven granules stay free and together all the time.
        let answer = looking.join().unwrap();
        assert!(!matches!(answer, Err(AllocateError::Full { in_flight: false, .. })));
    });
}
