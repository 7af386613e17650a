//! A thread reads the bytes under a pin while another moves them: the move must come wholly before or wholly after.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, Pin, ResidencyWord};
use loom::sync::Arc;
use memory::Memory;

#[test]
fn pinned_entry_is_never_evicted() {
    explore(|| {
        let entry = Arc::new((ResidencyWord::new(), Memory::default()));
        assert_eq!(entry.0.begin_materialise(), Claim::Won);
        let _ = entry.0.finish_materialise(0);

        let mover = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || {
                if entry.0.begin_evict() == Claim::Won {
                    entry.1.write(1);
                    let _ = entry.0.cancel_evict();
                }
            }
        });
        if entry.0.try_pin() == Pin::Pinned {
            entry.1.read();
            let _ = entry.0.unpin();
        }
        mover.join().unwrap();
        assert!(entry.0.snapshot().is_evictable());
    });
}
