//! The total is lowered below a request that is just queueing: were neither side to notice the other it would wait for what
//! can never be.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{AcquireError, Bytes, MemoryPool};
use loom::sync::Arc;

#[test]
fn a_lowered_total_tells_whoever_is_just_queueing() {
    // Without a bound it passes too, in half a minute.
    explore_within(4, || {
        let pool = Arc::new(MemoryPool::new(Bytes(2)).unwrap());
        let held = pool.try_acquire(1).unwrap();
        let lowering = pool.clone();
        let thread = loom::thread::spawn(move || lowering.set_total(Bytes(1)));
        let refused = loom::future::block_on(pool.acquire_async(2)).map(|lease| lease.nbytes());
        assert_eq!(refused, Err(AcquireError::TooLarge { requested: Bytes(2), total: Bytes(1) }));
        thread.join().unwrap().unwrap();
        drop(held);
        assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(1), 0));
    });
}
