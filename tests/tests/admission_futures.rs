//! The future at each of its states: dropped before its first poll, while it waits, after it was granted and not polled; moved
//! from one executor to another; woken once, by what concerns it (P7, P8).

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::task::{Context, Poll, Wake, Waker};

use freehold_core::{Bytes, MemoryPool};

#[derive(Default)]
struct Counting(AtomicUsize);

impl Wake for Counting {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}

fn executor() -> (Arc<Counting>, Waker) {
    let counting = Arc::new(Counting::default());
    (counting.clone(), Waker::from(counting))
}

fn poll<F: Future + Unpin>(future: &mut F, waker: &Waker) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(waker))
}

#[test]
fn dropped_at_each_state_it_takes_nothing() {
    let pool = MemoryPool::new(Bytes(2)).unwrap();
    drop(pool.acquire_async(2));
    assert_eq!(pool.available_bytes(), Bytes(2), "never polled, it asked for nothing");

    let held = pool.try_acquire(2).unwrap();
    let mut waiting = pool.acquire_async(1);
    assert!(poll(&mut waiting, Waker::noop()).is_pending() && waiting.is_waiting());
    drop(waiting);
    assert_eq!(pool.waiting(), (0, Bytes(0)));

    let mut granted = pool.acquire_async(1);
    assert!(poll(&mut granted, Waker::noop()).is_pending());
    drop(held);
    assert_eq!(pool.available_bytes(), Bytes(1), "granted, though it does not know yet");
    drop(granted);
    assert_eq!(pool.available_bytes(), Bytes(2));

    let mut done = pool.acquire_async(1);
    let lease = poll(&mut done, Waker::noop());
    drop(done);
    assert_eq!(pool.available_bytes(), Bytes(1), "the lease outlives its future");
    drop(lease);
    assert_eq!(pool.available_bytes(), Bytes(2));
}

#[test]
fn only_the_last_executor_that_polled_it_is_woken_and_once() {
    let pool = MemoryPool::new(Bytes(2)).unwrap();
    let held = pool.try_acquire(2).unwrap();
    let ((first, first_waker), (second, second_waker)) = (executor(), executor());
    let mut waiting = pool.acquire_async(2);
    assert!(poll(&mut waiting, &first_waker).is_pending());
    assert!(poll(&mut waiting, &second_waker).is_pending());
    assert!(poll(&mut waiting, &second_waker).is_pending());
    drop(held);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
    let Poll::Ready(Ok(lease)) = poll(&mut waiting, &first_waker) else { panic!("it was served") };
    drop(lease);
    assert_eq!((first.0.load(SeqCst), second.0.load(SeqCst)), (0, 1));
}

#[test]
fn nobody_is_woken_who_cannot_go() {
    let pool = MemoryPool::new(Bytes(4)).unwrap();
    let mut held = pool.try_acquire(4).unwrap();
    let ((large, large_waker), (small, small_waker)) = (executor(), executor());
    let (mut first, mut second) = (pool.acquire_async(3), pool.acquire_async(1));
    assert!(poll(&mut first, &large_waker).is_pending() && poll(&mut second, &small_waker).is_pending());
    held.shrink(Bytes(2)).unwrap();
    assert_eq!((large.0.load(SeqCst), small.0.load(SeqCst)), (0, 0), "2 are not 3, and the 1 comes second");
    drop(held);
    assert_eq!((large.0.load(SeqCst), small.0.load(SeqCst)), (1, 1));
}

#[test]
#[should_panic(expected = "after it was ready")]
fn polled_after_it_was_ready_it_says_so() {
    let pool = MemoryPool::new(Bytes(1)).unwrap();
    let mut done = pool.acquire_async(1);
    assert!(poll(&mut done, Waker::noop()).is_ready());
    let _ = poll(&mut done, Waker::noop());
}

#[test]
fn a_thousand_waiters_are_served_each_once() {
    let pool = MemoryPool::new(Bytes(1)).unwrap();
    let mut lease = Some(pool.try_acquire(1).unwrap());
    let (woken, waker) = executor();
    let mut waiters: Vec<_> = (0..1000).map(|_| pool.acquire_async(1)).collect();
    assert!(waiters.iter_mut().all(|waiting| poll(waiting, &waker).is_pending()));
    assert_eq!(pool.waiting(), (1000, Bytes(1000)));
    for (turn, waiting) in waiters.iter_mut().enumerate() {
        drop(lease.take());
        assert_eq!(woken.0.load(SeqCst), turn + 1);
        let Poll::Ready(Ok(next)) = poll(waiting, &waker) else { panic!("it is the turn of {turn}") };
        lease = Some(next);
    }
    assert_eq!(Arc::strong_count(&woken), 2, "the pool keeps nothing of those it has served");
}

#[test]
fn what_threads_left_behind_goes_with_the_pool_at_the_latest() {
    let (woken, waker) = executor();
    let pool = MemoryPool::new(Bytes(2)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..2000 {
                    let (mut kept, mut dropped) = (pool.acquire_async(2), pool.acquire_async(1));
                    let _ = (poll(&mut kept, &waker), poll(&mut dropped, &waker));
                }
            });
        }
    });
    assert_eq!((pool.available_bytes(), pool.waiting().0), (Bytes(2), 0));
    drop(pool);
    assert_eq!(Arc::strong_count(&woken), 2);
}
