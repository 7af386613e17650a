//! A search takes away the mark above an empty word while another thread frees into it: afterwards every token is under its
//! marks, so a complete search finds it (I3, edge E3).

mod explore;

use explore::explore;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset, Request};
use loom::{sync::Arc, thread};

#[test]
fn mark_is_not_lost() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let _taken = buddy.take(0, Offset(1), Bytes(15)).unwrap();
        let last = buddy.take(0, Offset(0), Bytes(1)).unwrap();
        // All is taken, and group 0 still has the mark that its split left behind.
        let other = Arc::clone(&buddy);
        let freeing = thread::spawn(move || other.slot(0).unwrap().free(last));
        let taken = buddy.slot(1).unwrap().allocate(Request::new(Bytes(1))).is_ok();
        freeing.join().unwrap();
        assert_eq!(buddy.audit().unwrap().free, Bytes(u64::from(!taken)));
    });
}
