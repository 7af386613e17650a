//! Two threads change the queue at once: were the ledger that one has replaced freed while the other still reads it, or while it
//! can still be found, that one would follow the address of something gone.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::task::{Context, Waker};

#[test]
fn a_replaced_ledger_outlives_its_readers() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let held = pool.try_acquire(1).unwrap();
        let mut first = Box::pin(pool.acquire_async(1));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let other = pool.clone();
        let thread = loom::thread::spawn(move || {
            let mut second = Box::pin(other.acquire_async(1));
            let _ = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        });
        drop(first);
        thread.join().unwrap();
        drop(held);
        assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(1), 0));
    });
}
