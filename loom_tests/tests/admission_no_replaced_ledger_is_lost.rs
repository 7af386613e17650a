//! One thread replaces the ledger twice while another is inside, so that it leaves two on the stack of the retired, which the other
//! takes: were a link of the stack read too early, all below it would never be freed.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::task::{Context, Waker};

#[test]
fn no_replaced_ledger_is_lost() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let _held = pool.try_acquire(1).unwrap();
        let mut first = Box::pin(pool.acquire_async(1));
        assert!(first.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        let reader = pool.clone();
        let thread = loom::thread::spawn(move || assert!(reader.waiting().0 > 0));
        let mut second = Box::pin(pool.acquire_async(1));
        assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        drop(second);
        thread.join().unwrap();
    });
}
