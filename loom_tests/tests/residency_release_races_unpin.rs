//! The owner lets go while two others give back their pins: exactly one of the three frees, after both uses are over.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, Duty, FollowUp, Pin, ResidencyWord};
use loom::sync::Arc;
use memory::Memory;

/// Frees the bytes if that is the duty. Gives how often.
fn free(bytes: &Memory, after: FollowUp) -> u32 {
    match after.duty {
        Duty::FreeMemory => {
            bytes.write(0xDEAD);
            1
        }
        _ => 0,
    }
}

#[test]
fn release_against_two_unpins_frees_once() {
    explore(|| {
        let entry = Arc::new((ResidencyWord::new(), Memory::default()));
        assert_eq!(entry.0.begin_materialise(), Claim::Won);
        let _ = entry.0.finish_materialise(2);

        let users = [(), ()].map(|()| {
            let entry = Arc::clone(&entry);
            loom::thread::spawn(move || {
                entry.1.read();
                free(&entry.1, entry.0.unpin())
            })
        });
        let ours = free(&entry.1, entry.0.release());
        let theirs: u32 = users.into_iter().map(|user| user.join().unwrap()).sum();
        assert_eq!(ours + theirs, 1);
        assert_eq!(entry.0.try_pin(), Pin::Released);
        assert_eq!(free(&entry.1, entry.0.release()), 0, "a second release changes nothing");
    });
}
