//! A waiter gives up while a release grants it the bytes: lost, the pool would shrink; counted twice, it would grow.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Waker};

#[test]
fn a_grant_that_meets_a_cancel_comes_back() {
    explore(|| {
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
}
