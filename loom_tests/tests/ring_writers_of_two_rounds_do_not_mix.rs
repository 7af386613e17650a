//! Two writers whose tickets are a round apart meet in one slot: one record is there whole, or one was given up and counted (edge N-E3).

mod explore;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use explore::explore;
use freehold_core_on_loom::ring::Ring;
use loom::{sync::Arc, thread};

#[test]
fn ring_writers_of_two_rounds_do_not_mix() {
    static GIVEN_UP: AtomicUsize = AtomicUsize::new(0);
    explore(|| {
        let ring = Arc::new(Ring::new(1)); // one slot for both
        let other = Arc::clone(&ring);
        let other = thread::spawn(move || other.write([1; 2]));
        ring.write([2; 2]);
        other.join().unwrap();
        let mut left = 0;
        ring.read(|ticket, [first, second]| {
            assert_eq!((ticket, first), (1, second), "the words of two writers");
            left += 1;
        });
        assert!(left == 1 || ring.given_up() == 1, "a record that is nowhere was counted");
        GIVEN_UP.fetch_add(ring.given_up() as usize, Relaxed);
    });
    assert!(GIVEN_UP.load(Relaxed) > 0);
}
