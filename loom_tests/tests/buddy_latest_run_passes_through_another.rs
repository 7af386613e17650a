//! A slot puts its latest run back and takes it again, while another thread may have it in between: whoever gets it sees what the
//! one before wrote to its memory (edge E1).
//! At most three preemptions a schedule: to the end it takes minutes.

mod explore;
mod memory;

use explore::explore_within;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset, Request, Slot};
use loom::{sync::Arc, thread};
use memory::Memory;

#[test]
fn latest_run_passes_through_another() {
    explore_within(3, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let memory = Arc::new(Memory::default());
        let _taken = buddy.take(0, Offset(1), Bytes(15)).unwrap();
        let mut slot = buddy.slot(0).unwrap();
        use_once(&mut slot, &memory);
        let block = slot.allocate(Request::new(Bytes(1))).unwrap();
        let (other, theirs) = (Arc::clone(&buddy), Arc::clone(&memory));
        let thread = thread::spawn(move || use_once(&mut other.slot(1).unwrap(), &theirs));
        memory.write(1);
        slot.free(block);
        use_once(&mut slot, &memory);
        thread.join().unwrap();
    });
}

/// Whoever gets the only granule writes to it, and gives it back: loom reports two writes that nothing orders.
fn use_once(slot: &mut Slot<'_>, memory: &Memory) {
    if let Ok(block) = slot.allocate(Request::new(Bytes(1))) {
        memory.write(1);
        slot.free(block);
    }
}
