//! What a block's owner wrote to its memory before freeing it is seen by the next owner (edge E1).
//! At most three preemptions a schedule: to the end it takes minutes.

mod explore;
mod memory;

use explore::explore_within;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Request};
use loom::{sync::Arc, thread};
use memory::Memory;

#[test]
fn free_then_allocate() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(1), Bytes(1)).unwrap(), 2));
        let memory = Arc::new(Memory::default());
        let (other, theirs) = (Arc::clone(&buddy), Arc::clone(&memory));
        let thread = thread::spawn(move || use_once(&other, &theirs, 0));
        use_once(&buddy, &memory, 1);
        thread.join().unwrap();
    });
}

/// Whoever gets the only granule writes to it, and gives it back: loom reports two writes that nothing orders.
fn use_once(buddy: &Buddy, memory: &Memory, hint: usize) {
    let mut slot = buddy.slot(hint).unwrap();
    if let Ok(block) = slot.allocate(Request::new(Bytes(1))) {
        memory.write(1);
        slot.free(block);
    }
}
