//! One thread replaces the ledger twice while another is inside, so that it leaves two on the stack of the retired, which the other
//! takes: were a link of the stack read too early, all below it would never be freed.
use freehold_core::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Waker};

static SCHEDULES: AtomicU64 = AtomicU64::new(0);

#[test]
fn no_replaced_ledger_is_lost() {
    const { assert!(freehold_core::LOOM, "this model must run on loom's atomics") };
    loom::model(|| {
        SCHEDULES.fetch_add(1, Relaxed);
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
    assert!(SCHEDULES.load(Relaxed) > 1);
}
