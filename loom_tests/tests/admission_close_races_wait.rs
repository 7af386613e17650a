//! The pool closes while somebody is queueing who will never be served: missed, it would wait for ever.

mod explore;

use explore::explore;
use freehold_core_on_loom::{AcquireError, Bytes, MemoryPool};
use loom::sync::Arc;

#[test]
fn closing_tells_whoever_is_just_queueing() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let held = pool.try_acquire(1).unwrap();
        let closer = pool.clone();
        let thread = loom::thread::spawn(move || closer.close());
        let refused = loom::future::block_on(pool.acquire_async(1)).map(|lease| lease.nbytes());
        assert_eq!(refused, Err(AcquireError::Closed));
        drop(held);
        thread.join().unwrap();
        assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(1), 0), "leases return to a closed pool");
    });
}
