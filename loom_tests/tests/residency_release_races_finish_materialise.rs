//! The owner lets go while another brings the bytes, with a pin, without one, or in vain: what was brought is freed once.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, Duty, Pin, ResidencyWord};
use loom::sync::Arc;
use memory::Memory;

/// Brings the bytes with `pins` pins, or fails to. Gives how often this thread freed the memory.
fn bring((word, bytes): &(ResidencyWord, Memory), pins: Option<u32>) -> u32 {
    if word.begin_materialise() != Claim::Won {
        return 1; // Released before it began: there is no memory, which counts as freed.
    }
    bytes.write(7);
    let Some(pins) = pins else {
        assert_eq!(word.fail_materialise().duty, Duty::None, "the memory of a failed load is the loader's anyway");
        return 1;
    };
    let mut after = word.finish_materialise(pins);
    if pins == 1 {
        assert_eq!((after.duty, bytes.read()), (Duty::None, 7), "a pin holds, released or not");
        after = word.unpin();
    }
    if after.duty == Duty::FreeMemory {
        bytes.write(0xDEAD);
    }
    u32::from(after.duty == Duty::FreeMemory)
}

fn release_frees_once(pins: Option<u32>) {
    explore(move || {
        let entry = Arc::new((ResidencyWord::new(), Memory::default()));
        let bringer = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || bring(&entry, pins)
        });
        let ours = entry.0.release().duty == Duty::FreeMemory;
        if ours {
            entry.1.write(3);
        }
        assert_eq!(u32::from(ours) + bringer.join().unwrap(), 1);
        assert_eq!(entry.0.try_pin(), Pin::Released);
    });
}

#[test]
fn release_against_a_load_that_pins_frees_once() {
    release_frees_once(Some(1));
}

#[test]
fn release_against_a_prefetch_frees_once() {
    release_frees_once(Some(0));
}

#[test]
fn release_against_a_failing_load_frees_nothing_twice() {
    release_frees_once(None);
}
