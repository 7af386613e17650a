//! Who goes first, and who may starve: `Fifo` never starves the large, `Barging` lets whoever fits go, classes go first and age
//! (P13, P14, P15, P16).

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Waker};

use freehold_core::{Acquire, AcquireError, AdmissionRequest, Bytes, Fairness, Lease, MemoryPool};

type Waiting<'p> = Pin<Box<Acquire<&'p MemoryPool>>>;

fn queue(pool: &MemoryPool, bytes: u64, class: u8) -> Waiting<'_> {
    let mut waiting = Box::pin(pool.acquire_async(AdmissionRequest::new(Bytes(bytes)).with_class(class)));
    assert!(served(&mut waiting).is_none(), "it was to wait");
    waiting
}

fn served<'p>(waiting: &mut Waiting<'p>) -> Option<Lease<&'p MemoryPool>> {
    match waiting.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
        std::task::Poll::Ready(lease) => Some(lease.unwrap()),
        std::task::Poll::Pending => None,
    }
}

/// How many of `small` successive jobs of 1 byte go while one for all 4 bytes waits and 3 bytes are in use.
fn small_jobs_before_the_large_one(fairness: Fairness, small: usize) -> usize {
    let pool = MemoryPool::with_fairness(Bytes(4), fairness).unwrap();
    let held = pool.try_acquire(3).unwrap();
    let mut large = queue(&pool, 4, 0);
    let went = (0..small).filter(|_| pool.try_acquire(1).is_ok()).count();
    drop(held);
    assert_eq!(served(&mut large).unwrap().nbytes(), Bytes(4));
    went
}

#[test]
fn a_large_waiter_is_passed_by_nobody_under_fifo_and_by_all_under_barging() {
    assert_eq!(small_jobs_before_the_large_one(Fairness::Fifo, 100), 0);
    assert_eq!(small_jobs_before_the_large_one(Fairness::Barging, 100), 100);
}

#[test]
fn under_barging_one_release_serves_all_that_fit_in_order() {
    let pool = MemoryPool::with_fairness(Bytes(4), Fairness::Barging).unwrap();
    let held = pool.try_acquire(4).unwrap();
    let mut large = queue(&pool, 4, 0);
    let mut small = [3, 2, 1].map(|bytes| queue(&pool, bytes, 0));
    let mut held = held;
    held.shrink(Bytes(3)).unwrap();
    let went: Vec<_> = small.iter_mut().map(served).collect();
    assert!(went[0].is_some() && went[1].is_none() && went[2].is_none(), "3 were free, and the 3 came first");
    assert!(served(&mut large).is_none());
}

#[test]
fn a_higher_class_goes_first_and_inside_a_class_the_order_is_that_of_arrival() {
    let pool = MemoryPool::with_fairness(Bytes(1), Fairness::Priority { ageing: 1000 }).unwrap();
    let mut held = Some(pool.try_acquire(1).unwrap());
    let mut waiters: Vec<_> =
        [(0, 'a'), (2, 'b'), (1, 'c'), (2, 'd'), (0, 'e')].map(|(class, name)| (name, queue(&pool, 1, class))).into();
    let mut order = String::new();
    while let Some(lease) = held.take() {
        drop(lease);
        for (name, waiting) in &mut waiters {
            if let Some(lease) = (held.is_none() && !order.contains(*name)).then(|| served(waiting)).flatten() {
                order.push(*name);
                held = Some(lease);
            }
        }
    }
    assert_eq!(order, "bdcae");
}

#[test]
fn a_low_class_is_passed_by_as_many_later_arrivals_as_ageing_says() {
    const AGEING: u32 = 5;
    let pool = MemoryPool::with_fairness(Bytes(1), Fairness::Priority { ageing: AGEING }).unwrap();
    let mut held = pool.try_acquire(1).unwrap();
    let mut low = queue(&pool, 1, 0);
    let mut passed = 0;
    loop {
        let mut high = queue(&pool, 1, 1);
        drop(held);
        match served(&mut high) {
            Some(lease) => held = lease,
            None => break,
        }
        passed += 1;
        assert!(passed < 100, "it starves");
    }
    assert!(served(&mut low).is_some());
    assert_eq!(passed, AGEING as usize);
}

#[test]
fn a_low_class_is_passed_by_no_more_of_those_who_only_try() {
    const AGEING: u32 = 5;
    let pool = MemoryPool::with_fairness(Bytes(4), Fairness::Priority { ageing: AGEING }).unwrap();
    let held = pool.try_acquire(3).unwrap();
    let mut low = queue(&pool, 4, 0);
    let high = AdmissionRequest::new(Bytes(1)).with_class(1);
    let passed = (0..100).filter(|_| pool.try_acquire(high).is_ok()).count();
    assert_eq!(passed, AGEING as usize, "each went before it, as a later arrival that waits would have");
    drop(held);
    assert!(served(&mut low).is_some());
}

#[test]
fn asking_for_more_behind_a_large_waiter_has_its_ways_out() {
    let pool = MemoryPool::new(Bytes(4)).unwrap();
    let mut job = pool.try_acquire(2).unwrap();
    let mut large = queue(&pool, 4, 0);
    // To wait here would be for ever: the large one waits for us. `try_grow` says so at once instead.
    assert!(matches!(job.try_grow(Bytes(1)), Err(AcquireError::Full { waiting: 1, .. })));
    assert_eq!(job.nbytes(), Bytes(2), "it still has what it had");
    // One lease for the whole job, split as it goes, needs no second question.
    let part = job.split(Bytes(1)).unwrap();
    drop(job);
    assert!(served(&mut large).is_none());
    drop(part);
    assert!(served(&mut large).is_some());
}
