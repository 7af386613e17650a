//! A search takes away the mark above an empty word while a slot puts its latest run back there, the word's first token: afterwards
//! the token is under its mark, so a complete search finds it (I3, edge E3).

mod explore;

use explore::explore;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn mark_above_the_latest_run_is_not_lost() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(1), Bytes(15)).unwrap();
        let mut slot = buddy.slot(0).unwrap();
        let last = slot.allocate(Request::new(Bytes(1))).unwrap();
        slot.free(last);
        let last = slot.allocate(Request::new(Bytes(1))).unwrap();
        // All is taken, and group 0 still has its mark.
        let other = Arc::clone(&buddy);
        let searching = thread::spawn(move || other.slot(1).unwrap().allocate(Request::new(Bytes(1))).is_ok());
        slot.free(last);
        let taken = searching.join().unwrap();
        assert_eq!(buddy.audit().unwrap().free, Bytes(u64::from(!taken)));
    });
}
