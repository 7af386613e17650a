//! Two threads take 2 of 3 bytes and give them back: were both admitted at once, 4 bytes would be leased.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

#[test]
fn leases_never_sum_above_the_limit() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(3)).unwrap());
        let leased = Arc::new(loom::sync::atomic::AtomicU64::new(0));
        let job = |pool: Arc<MemoryPool>, leased: Arc<loom::sync::atomic::AtomicU64>| {
            let Ok(lease) = pool.try_acquire(2) else { return };
            assert_eq!(leased.fetch_add(2, Relaxed), 0, "the other one has 2 of the 3 bytes");
            leased.fetch_sub(2, Relaxed);
            drop(lease);
        };
        let other = (pool.clone(), leased.clone());
        let thread = loom::thread::spawn(move || job(other.0, other.1));
        job(pool.clone(), leased);
        thread.join().unwrap();
        assert_eq!((pool.available_bytes(), pool.peak_bytes()), (Bytes(3), Bytes(2)));
    });
}
