//! The first waiter, too large to be served, gives up while a second that would fit queues behind it: were the turn not passed
//! on, the second would sleep beside free bytes.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::task::{Context, Waker};

#[test]
fn a_cancelled_head_passes_its_turn_on() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(2)).unwrap());
        let held = pool.try_acquire(1).unwrap();
        let mut head = Box::pin(pool.acquire_async(2));
        assert!(head.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let second = pool.clone();
        let thread = loom::thread::spawn(move || drop(loom::future::block_on(second.acquire_async(1)).unwrap()));
        drop(head);
        thread.join().unwrap();
        drop(held);
        assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(2), 0));
    });
}
