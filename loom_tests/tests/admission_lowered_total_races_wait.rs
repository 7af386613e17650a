//! The total is lowered below a request that is just queueing: were neither side to notice the other it would wait for what
//! can never be.
use freehold_core::{AcquireError, Bytes, MemoryPool};
use loom::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

static SCHEDULES: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_lowered_total_tells_whoever_is_just_queueing() {
    const { assert!(freehold_core::LOOM, "this model must run on loom's atomics") };
    // Without a bound it passes too, in half a minute.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(4);
    model.check(|| {
        SCHEDULES.fetch_add(1, Relaxed);
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
    assert!(SCHEDULES.load(Relaxed) > 1);
}
