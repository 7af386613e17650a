//! Two threads claim runs of several words that overlap in the middle: not both succeed, and who fails leaves all it took.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Buddy, Bytes, Geometry, Offset};
use loom::{sync::Arc, thread};

#[test]
fn one_of_two_overlapping_claims_wins() {
    explore(|| {
        let buddy = Arc::new(Buddy::with_slots(Geometry::new(Bytes(16), Bytes(1)).unwrap(), 2));
        let other = Arc::clone(&buddy);
        let theirs = thread::spawn(move || other.take(0, Offset(2), Bytes(7)));
        let ours = buddy.take(1, Offset(6), Bytes(5));
        let theirs = theirs.join().unwrap();
        assert!(!(theirs.is_some() && ours.is_some()), "granules 6, 7 and 8 have two owners");
        let taken = theirs.map_or(0, |block| block.bytes().get()) + ours.map_or(0, |block| block.bytes().get());
        assert_eq!(buddy.audit().unwrap().free, Bytes(16 - taken));
    });
}
