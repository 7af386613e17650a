//! One owner frees half of a group, a second frees the other half and closes it, a third gets the whole unit: it sees what
//! the first wrote to its half (edge E1, through a close).
//! At most two preemptions a schedule: three threads to the end take minutes.

mod explore;
mod memory;

use explore::explore_within;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset};
use loom::{sync::Arc, thread};
use memory::Memory;

#[test]
fn coalesced_then_allocate() {
    explore_within(2, || {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 3));
        let [left, right] = [0, 2].map(|start| buddy.take(0, Offset(start), Bytes(2)).unwrap());
        let last = buddy.take(0, Offset(12), Bytes(4)).unwrap();
        let memory = Arc::new(Memory::default()); // of granules 0 and 1
        let (one, his) = (Arc::clone(&buddy), Arc::clone(&memory));
        let first = thread::spawn(move || {
            his.write(1);
            one.slot(0).unwrap().free(left);
        });
        let (other, hers) = (Arc::clone(&buddy), Arc::clone(&memory));
        let third =
            thread::spawn(move || other.slot(2).unwrap().take(Offset(0), Bytes(4)).is_some().then(|| hers.write(3)));
        // The second free pushes the first out of the ring: the group is closed if it is full by now.
        let mut slot = buddy.slot(1).unwrap();
        for block in [right, last] {
            slot.free(block);
        }
        drop(slot);
        first.join().unwrap();
        third.join().unwrap();
    });
}
