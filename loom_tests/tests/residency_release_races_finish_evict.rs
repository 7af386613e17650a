//! The owner lets go while another takes the bytes away, or changes its mind: the memory is freed once, by one of them.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, Duty, Pin, ResidencyWord};
use loom::sync::Arc;
use memory::Memory;

/// Evicts, or only looks and cancels. Gives how often this thread freed the memory.
fn evict((word, bytes): &(ResidencyWord, Memory), cancel: bool) -> u32 {
    if word.begin_evict() != Claim::Won {
        return 0;
    }
    bytes.write(1); // The copy out, the move, or the freeing itself.
    let after = if cancel { word.cancel_evict() } else { word.finish_evict() };
    if cancel && after.duty == Duty::FreeMemory {
        bytes.write(2);
    }
    assert!(cancel || after.duty == Duty::None, "what has been evicted has no memory left to free");
    u32::from(!cancel || after.duty == Duty::FreeMemory)
}

fn release_frees_once(cancel: bool) {
    explore(move || {
        let entry = Arc::new((ResidencyWord::new(), Memory::default()));
        assert_eq!(entry.0.begin_materialise(), Claim::Won);
        let _ = entry.0.finish_materialise(0);

        let evictor = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || evict(&entry, cancel)
        });
        let ours = entry.0.release().duty == Duty::FreeMemory;
        if ours {
            entry.1.write(3);
        }
        assert_eq!(u32::from(ours) + evictor.join().unwrap(), 1);
        assert_eq!(entry.0.try_pin(), Pin::Released);
    });
}

#[test]
fn release_against_eviction_frees_once() {
    release_frees_once(false);
}

#[test]
fn release_against_a_cancelled_eviction_frees_once() {
    release_frees_once(true);
}
