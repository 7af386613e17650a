//! What a block's owner wrote to its memory before freeing it is seen by the next owner (edge E1).

mod explore;

use explore::explore;
use freehold_core::{Buddy, Bytes, Geometry, Request};
use loom::{cell::UnsafeCell, sync::Arc, thread};

#[test]
fn free_then_allocate() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(1), Bytes(1)).unwrap(), 2));
        let memory = Arc::new(UnsafeCell::new(0));
        let (other, theirs) = (Arc::clone(&buddy), Arc::clone(&memory));
        let thread = thread::spawn(move || use_once(&other, &theirs, 0));
        use_once(&buddy, &memory, 1);
        thread.join().unwrap();
    });
}

/// Whoever gets the only granule writes to it, and gives it back: loom reports two writes that nothing orders.
fn use_once(buddy: &Buddy, memory: &UnsafeCell<u32>, hint: usize) {
    let mut slot = buddy.slot(hint).unwrap();
    if let Ok(block) = slot.allocate(Request::new(Bytes(1))) {
        #[allow(unsafe_code)]
        // SAFETY: I1. We own the granule that stands for this cell, so nobody else touches it until we free.
        memory.with_mut(|cell| unsafe { *cell += 1 });
        slot.free(block);
    }
}
