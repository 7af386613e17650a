//! One thread is about to sweep the stack of the retired. Before it does, a second begins to read a ledger, a third replaces that
//! ledger and leaves it on the stack, and the second leaves: the sweeper finds the ledger there and nobody inside, and must come
//! after all that reading.
//! At most five preemptions a schedule, which this one needs.

mod explore;

use explore::explore_within;
use freehold_core_on_loom::{Acquire, Bytes, MemoryPool};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Waker};

fn queue(pool: &Arc<MemoryPool>) -> Pin<Box<Acquire<Arc<MemoryPool>>>> {
    let mut waiter = Box::pin(Acquire::new(pool.clone(), 1));
    assert!(waiter.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    waiter
}

#[test]
fn a_swept_ledger_has_no_late_reader() {
    explore_within(5, || {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let _held = pool.try_acquire(1).unwrap();
        let [_first, second, third] = [queue(&pool), queue(&pool), queue(&pool)];
        let replacing = loom::thread::spawn(move || drop((second, third)));
        let reader = pool.clone();
        let reading = loom::thread::spawn(move || assert!(reader.waiting().0 > 0));
        assert!(pool.waiting().0 > 0);
        replacing.join().unwrap();
        reading.join().unwrap();
    });
}
