//! A reader copies a record's words while the next round's writer replaces them (edges N-E1, N-E2).

mod explore;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use explore::explore;
use freehold_core_on_loom::ring::Ring;
use loom::{sync::Arc, thread};

#[test]
fn ring_record_is_read_whole_or_not_at_all() {
    static SEEN: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];
    explore(|| {
        let ring = Arc::new(Ring::new(1)); // one slot for all rounds
        let writer = Arc::clone(&ring);
        let writer = thread::spawn(move || [1, 2].map(|number| writer.write([number; 2])));
        ring.read(|_, [first, second]| {
            assert_eq!(first, second, "a record of two rounds");
            SEEN[first as usize].fetch_add(1, Relaxed);
        });
        writer.join().unwrap();
        assert_eq!((ring.written(), ring.given_up()), (2, 0));
    });
    assert!(SEEN[1].load(Relaxed) > 0 && SEEN[2].load(Relaxed) > 0, "some schedules read each of the two");
}
