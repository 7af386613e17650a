//! Two threads access one absent entry: one brings the bytes, the other waits for it, and both read what was brought.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, Pin, ResidencyWord};
use loom::sync::Arc;
use memory::Memory;

/// Reads the bytes, bringing them if they are absent. Gives how often this thread brought them.
fn access((word, bytes): &(ResidencyWord, Memory)) -> u32 {
    let mut loads = 0;
    loop {
        match word.try_pin() {
            Pin::Pinned => break,
            Pin::Absent if word.begin_materialise() == Claim::Won => {
                bytes.write(bytes.read() + 7);
                loads += 1;
                let _ = word.finish_materialise(1);
                break;
            }
            _ => loom::thread::yield_now(),
        }
    }
    assert_eq!(bytes.read(), 7, "brought once, and wholly");
    let _ = word.unpin();
    loads
}

#[test]
fn one_access_materialises() {
    explore(|| {
        let entry = Arc::new((ResidencyWord::new(), Memory::default()));
        let other = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || access(&entry)
        });
        let ours = access(&entry);
        assert_eq!(ours + other.join().unwrap(), 1);
    });
}
