//! The pool admits, refuses, queues and serves exactly as a counter and a list would, under every policy, refusals included
//! (P1-P9, P13-P15, P17). One thread drives both; races are the loom models' matter, clocks those of the blocking tests.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use freehold_core::{Acquire, AcquireError, AdmissionRequest, Bytes, Fairness, Lease, MemoryPool};
use freehold_tests::pool_twin::{Answer, PoolTwin};
use proptest::prelude::*;

const TOTAL: u64 = 16;

#[derive(Clone, Debug)]
enum Op {
    Try { bytes: u64, class: u8 },
    Wait { bytes: u64, class: u8 },
    Poll(usize),
    Cancel(usize),
    Release(usize),
    Split(usize, u64),
    Merge(usize, usize),
    Shrink(usize, u64),
    Grow(usize, u64),
    SetTotal(u64),
    Close,
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = prop_oneof![
        6 => (0..TOTAL + 3, 0u8..3).prop_map(|(bytes, class)| Op::Try { bytes, class }),
        9 => (0..TOTAL + 3, 0u8..3).prop_map(|(bytes, class)| Op::Wait { bytes, class }),
        4 => (0usize..16).prop_map(Op::Poll),
        3 => (0usize..16).prop_map(Op::Cancel),
        9 => (0usize..16).prop_map(Op::Release),
        2 => (0usize..16, 0..TOTAL).prop_map(|(lease, bytes)| Op::Split(lease, bytes)),
        1 => (0usize..16, 0usize..16).prop_map(|(lease, other)| Op::Merge(lease, other)),
        2 => (0usize..16, 0..TOTAL).prop_map(|(lease, bytes)| Op::Shrink(lease, bytes)),
        2 => (0usize..16, 0..TOTAL).prop_map(|(lease, bytes)| Op::Grow(lease, bytes)),
        1 => (0..2 * TOTAL).prop_map(Op::SetTotal),
    ];
    // Closing ends most of what there is to see, so it comes late and not always.
    let close = prop_oneof![3 => Just(None), 1 => Just(Some(Op::Close))];
    (prop::collection::vec(op.clone(), 1..120), close, prop::collection::vec(op, 0..20))
        .prop_map(|(first, close, last)| first.into_iter().chain(close).chain(last).collect())
}

fn policies() -> impl Strategy<Value = Fairness> {
    let priority = (0u32..5).prop_map(|ageing| Fairness::Priority { ageing });
    prop_oneof![Just(Fairness::Fifo), Just(Fairness::Barging), priority]
}

type Waiting<'p> = Pin<Box<Acquire<&'p MemoryPool>>>;

struct Both<'p> {
    pool: &'p MemoryPool,
    twin: PoolTwin,
    leases: Vec<Lease<&'p MemoryPool>>,
    waiters: Vec<(usize, u64, Waiting<'p>)>,
    names: usize,
}

impl<'p> Both<'p> {
    fn run(&mut self, op: &Op) {
        match *op {
            Op::Try { .. } | Op::Wait { .. } => self.ask(op),
            Op::Poll(at) | Op::Cancel(at) if !self.waiters.is_empty() => {
                let (name, bytes, acquire) = self.waiters.swap_remove(at % self.waiters.len());
                if matches!(op, Op::Cancel(_)) {
                    drop(acquire);
                    self.twin.cancel(name, bytes);
                } else {
                    let theirs = self.twin.poll(name, bytes);
                    self.poll(name, bytes, acquire, theirs);
                }
            }
            Op::SetTotal(total) => {
                let old = self.pool.set_total(Bytes(total)).unwrap();
                assert_eq!(old.get(), self.twin.total as u64);
                self.twin.set_total(total);
            }
            Op::Close => {
                self.pool.close();
                self.twin.closed = true;
            }
            _ if !self.leases.is_empty() => self.change_a_lease(op),
            _ => {}
        }
        self.compare();
    }

    fn ask(&mut self, op: &Op) {
        match *op {
            Op::Try { bytes, class } => {
                let ours = self.pool.try_acquire(AdmissionRequest::new(Bytes(bytes)).with_class(class));
                let theirs = self.twin.try_acquire(bytes, class);
                self.took(ours, theirs);
            }
            Op::Wait { bytes, class } => {
                self.names += 1;
                let theirs = self.twin.acquire(self.names, bytes, class);
                let acquire = self.pool.acquire_async(AdmissionRequest::new(Bytes(bytes)).with_class(class));
                self.poll(self.names, bytes, Box::pin(acquire), theirs);
            }
            _ => unreachable!("only these two ask"),
        }
    }

    fn change_a_lease(&mut self, op: &Op) {
        let leases = self.leases.len();
        match *op {
            Op::Release(at) => {
                let mut lease = self.leases.swap_remove(at % leases);
                self.twin.release(lease.nbytes().get());
                lease.release();
                lease.release();
            }
            Op::Split(at, bytes) => {
                let lease = &mut self.leases[at % leases];
                let held = lease.nbytes();
                match lease.split(Bytes(bytes)) {
                    Ok(part) => {
                        assert_eq!((part.nbytes(), lease.nbytes()), (Bytes(bytes), held - Bytes(bytes)));
                        self.leases.push(part);
                    }
                    Err(_) => assert!(bytes > held.get()),
                }
            }
            Op::Merge(at, other) if at % leases != other % leases => {
                let part = std::mem::replace(&mut self.leases[other % leases], self.pool.try_acquire(0).unwrap());
                let sum = self.leases[at % leases].nbytes() + part.nbytes();
                self.leases[at % leases].merge(part).unwrap();
                assert_eq!(self.leases[at % leases].nbytes(), sum);
            }
            Op::Shrink(at, bytes) => match self.leases[at % leases].shrink(Bytes(bytes)) {
                Ok(()) => self.twin.release(bytes),
                Err(_) => assert!(bytes > self.leases[at % leases].nbytes().get()),
            },
            Op::Grow(at, bytes) => {
                let lease = &mut self.leases[at % leases];
                let held = lease.nbytes().get();
                let grown = lease.try_grow(Bytes(bytes));
                assert_eq!(lease.nbytes().get(), held + if grown.is_ok() { bytes } else { 0 });
                assert_eq!(answer(&grown), self.twin.try_acquire(bytes, 0));
            }
            _ => {}
        }
    }

    fn poll(&mut self, name: usize, bytes: u64, mut acquire: Waiting<'p>, theirs: Answer) {
        match acquire.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {
                assert_eq!(theirs, Answer::Waiting);
                self.waiters.push((name, bytes, acquire));
            }
            Poll::Ready(ours) => self.took(ours, theirs),
        }
    }

    fn took(&mut self, ours: Result<Lease<&'p MemoryPool>, AcquireError>, theirs: Answer) {
        assert_eq!(answer(&ours), theirs, "{ours:?}");
        self.leases.extend(ours);
    }

    fn compare(&self) {
        let (waiting, waiting_bytes) = self.pool.waiting();
        assert_eq!(self.pool.available_bytes().get(), self.twin.available());
        assert_eq!(self.pool.leased_bytes().get(), self.twin.leased as u64);
        assert_eq!((waiting, waiting_bytes.get()), self.twin.waiting());
        assert_eq!(self.pool.is_closed(), self.twin.closed);
        assert!(self.pool.peak_bytes() >= self.pool.leased_bytes());
    }
}

fn answer<T>(ours: &Result<T, AcquireError>) -> Answer {
    match ours {
        Ok(_) => Answer::Admitted,
        Err(AcquireError::Full { requested, available, waiting }) => {
            assert!(requested > available || *waiting > 0, "the numbers say why");
            Answer::Full
        }
        Err(AcquireError::TooLarge { requested, total }) => {
            assert!(requested > total);
            Answer::TooLarge
        }
        Err(AcquireError::Closed) => Answer::Closed,
        Err(other) => panic!("{other}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn every_answer_is_the_twins(fairness in policies(), ops in ops()) {
        let pool = MemoryPool::with_fairness(Bytes(TOTAL), fairness).unwrap();
        let twin = PoolTwin::new(TOTAL, fairness);
        let mut both = Both { pool: &pool, twin, leases: vec![], waiters: vec![], names: 0 };
        ops.iter().for_each(|op| both.run(op));
        drop(both);
        prop_assert_eq!(pool.available_bytes(), pool.total_bytes(), "everything came back");
        prop_assert_eq!(pool.waiting(), (0, Bytes::ZERO));
    }
}

#[test]
fn a_forgotten_future_costs_its_bytes_and_nothing_else() {
    let pool = MemoryPool::new(Bytes(2)).unwrap();
    let held = pool.try_acquire(2).unwrap();
    let mut forgotten = Box::pin(pool.acquire_async(1));
    assert!(forgotten.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    std::mem::forget(forgotten);
    drop(held);
    assert!(pool.try_acquire(1).is_ok());
    assert_eq!(pool.leased_bytes(), Bytes(1));
}
