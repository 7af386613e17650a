//! Bytes return one by one while 2 are wanted first and 1 second: served by size, the second would overtake and the first starve.

mod explore;

use explore::explore;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

#[test]
fn a_later_small_request_does_not_overtake() {
    explore(|| {
        let pool = Arc::new(MemoryPool::new(Bytes(2)).unwrap());
        let mut held = pool.try_acquire(2).unwrap();
        let half = held.split(Bytes(1)).unwrap().into_bytes();
        let (mut large, mut small) = (pin!(pool.acquire_async(2)), pin!(pool.acquire_async(1)));
        let mut context = Context::from_waker(Waker::noop());
        assert!(large.as_mut().poll(&mut context).is_pending());
        assert!(small.as_mut().poll(&mut context).is_pending());
        let releaser = pool.clone();
        let thread = loom::thread::spawn(move || drop(releaser.lease_from_bytes(half).unwrap()));
        drop(held);
        assert!(small.as_mut().poll(&mut context).is_pending(), "the small one overtook");
        thread.join().unwrap();
        let Poll::Ready(Ok(first)) = large.poll(&mut context) else { panic!("the large one has its turn") };
        assert!(small.as_mut().poll(&mut context).is_pending());
        drop(first);
        assert!(small.poll(&mut context).is_ready());
    });
}
