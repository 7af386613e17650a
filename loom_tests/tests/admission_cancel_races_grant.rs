//! A waiter gives up while a release grants it the bytes: lost, the pool would shrink; counted twice, it would grow.
use freehold_core::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};

static SCHEDULES: AtomicU64 = AtomicU64::new(0);

#[test]
fn a_grant_that_meets_a_cancel_comes_back() {
    const { assert!(freehold_core::LOOM, "this model must run on loom's atomics") };
    loom::model(|| {
        SCHEDULES.fetch_add(1, Relaxed);
        let pool = Arc::new(MemoryPool::new(Bytes(2)).unwrap());
        let holder = pool.clone();
        let thread = loom::thread::spawn(move || drop(holder.try_acquire(2)));
        {
            let mut waiter = pin!(pool.acquire_async(1));
            let _ = waiter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        }
        thread.join().unwrap();
        assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(2), 0));
    });
    assert!(SCHEDULES.load(Relaxed) > 1);
}
