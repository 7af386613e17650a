//! Jobs come, wait, lose patience, are slow to look, and go, at times of a virtual clock; at every one of these moments the pool
//! and its naive twin agree on who is served, who is served is woken then and once, nobody is woken in vain, no wait is longer than
//! the policy allows, and nobody is left behind (P2, P7, P8, P13, P14, P15).
//!
//! One thread drives it all by wakers, as an executor does; what fails shrinks. Not covered: races (loom's matter), parking and
//! real time (`admission_waits_and_gives_up`), totals that change and closing (`admission_pool_matches_its_twin`).

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll, Wake, Waker};

use freehold_core::{Acquire, AcquireError, AdmissionRequest, Bytes, Fairness, Lease, MemoryPool};
use freehold_tests::pool_twin::{Answer, PoolTwin};
use proptest::prelude::*;

const TOTAL: u64 = 12;
const HIGHEST_CLASS: u8 = 2;
/// The longest that a job has its lease, and the longest that it takes to look after it was woken.
const HOLDS: u64 = 9;
const SLOW: u64 = 3;

#[derive(Clone, Debug)]
struct Job {
    arrives: u64,
    request: AdmissionRequest,
    holds: u64,
    slow: u64,
    /// Gives up so long after it came, served or not; one that is served and has looked is past that.
    patience: Option<u64>,
    /// Looks so long after it came though nobody woke it: with its old waker, or from another task with a new one.
    looks: Option<(u64, bool)>,
    /// Only tries, and does without if refused.
    tries: bool,
    /// Of what happens at one time the lower goes first.
    order: u8,
}

fn jobs() -> impl Strategy<Value = Vec<Job>> {
    let request = (1..=TOTAL + 1, 0..=HIGHEST_CLASS)
        .prop_map(|(bytes, class)| AdmissionRequest::new(Bytes(bytes)).with_class(class));
    let patience = prop::option::weighted(0.4, 0..40u64);
    let looks = prop::option::weighted(0.3, (0..30u64, any::<bool>()));
    let job = (0..60u64, request, 1..=HOLDS, 0..=SLOW, patience, looks, prop::bool::weighted(0.2), 0..4u8);
    let job = job.prop_map(|(arrives, request, holds, slow, patience, looks, tries, order)| Job {
        arrives,
        request,
        holds,
        slow,
        patience,
        looks,
        tries,
        order,
    });
    prop::collection::vec(job, 1..60)
}

fn policies() -> impl Strategy<Value = Fairness> {
    let priority = (0u32..5).prop_map(|ageing| Fairness::Priority { ageing });
    prop_oneof![Just(Fairness::Fifo), Just(Fairness::Barging), priority]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    Arrive,
    Look { anew: bool },
    GiveUp,
    TakeUp,
    End,
}

#[derive(Default)]
struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Relaxed);
    }
}

struct Waiter<'p> {
    acquire: Pin<Box<Acquire<&'p MemoryPool>>>,
    bell: Arc<Bell>,
    since: u64,
    /// In the order of arrival.
    number: usize,
    served: bool,
    /// How many stood before it when it came, and how many that came later went first.
    before: u64,
    passed: u64,
}

struct World<'p> {
    pool: &'p MemoryPool,
    twin: PoolTwin,
    jobs: &'p [Job],
    /// What happens when, in what order of those that happen at once: the virtual clock is its first key.
    agenda: BTreeMap<(u64, u8, usize), (What, usize)>,
    planned: usize,
    arrivals: usize,
    waiters: BTreeMap<usize, Waiter<'p>>,
    leases: BTreeMap<usize, Lease<&'p MemoryPool>>,
    /// Bells of wakers that were replaced: nobody may ring them.
    put_away: Vec<Arc<Bell>>,
}

impl<'p> World<'p> {
    fn plan(&mut self, time: u64, what: What, job: usize) {
        self.planned += 1;
        self.agenda.insert((time, self.jobs[job].order, self.planned), (what, job));
    }

    fn run(&mut self) {
        (0..self.jobs.len()).for_each(|job| self.plan(self.jobs[job].arrives, What::Arrive, job));
        // Bounded: a job has at most five events, and only its own plan them.
        while let Some(((now, ..), (what, job))) = self.agenda.pop_first() {
            match what {
                What::Arrive => self.arrive(now, job),
                What::Look { anew } => self.look(job, anew),
                What::GiveUp => self.give_up(job),
                What::TakeUp => self.take_up(now, job),
                What::End => self.end(job),
            }
            self.settle(now);
        }
        assert!(self.waiters.is_empty() && self.leases.is_empty(), "nobody is left behind");
        assert!(self.put_away.iter().all(|bell| bell.0.load(Relaxed) == 0), "a waker that was replaced was called");
    }

    fn arrive(&mut self, now: u64, job: usize) {
        let Job { request, holds, patience, looks, tries, .. } = self.jobs[job];
        let (bytes, class) = (request.bytes.get(), request.class);
        let before = self.twin.waiting().0;
        let number = self.arrivals;
        self.arrivals += 1;
        if tries {
            let theirs = self.twin.try_acquire(bytes, class);
            let ours = self.pool.try_acquire(request);
            return self.answered(now, job, number, ours, theirs, holds);
        }
        let theirs = self.twin.acquire(job, bytes, class);
        let (mut acquire, bell) = (Box::pin(self.pool.acquire_async(request)), Arc::new(Bell::default()));
        match poll(&mut acquire, &bell) {
            Poll::Ready(ours) => self.answered(now, job, number, ours, theirs, holds),
            Poll::Pending => {
                assert_eq!(theirs, Answer::Waiting);
                let waiter = Waiter { acquire, bell, since: now, number, served: false, before, passed: 0 };
                self.waiters.insert(job, waiter);
                patience.into_iter().for_each(|patience| self.plan(now + patience, What::GiveUp, job));
                looks.into_iter().for_each(|(after, anew)| self.plan(now + after, What::Look { anew }, job));
            }
        }
    }

    fn answered(
        &mut self,
        now: u64,
        job: usize,
        number: usize,
        ours: Result<Lease<&'p MemoryPool>, AcquireError>,
        theirs: Answer,
        holds: u64,
    ) {
        let answer = match &ours {
            Ok(_) => Answer::Admitted,
            Err(AcquireError::Full { .. }) => Answer::Full,
            Err(AcquireError::TooLarge { .. }) => Answer::TooLarge,
            Err(other) => panic!("{other}"),
        };
        assert_eq!(answer, theirs);
        if let Ok(lease) = ours {
            self.leases.insert(job, lease);
            self.plan(now + holds, What::End, job);
            self.went(number);
        }
    }

    fn look(&mut self, job: usize, anew: bool) {
        let Some(waiter) = self.waiters.get_mut(&job).filter(|waiter| !waiter.served) else { return };
        if anew {
            self.put_away.push(std::mem::take(&mut waiter.bell));
        }
        assert!(poll(&mut waiter.acquire, &waiter.bell).is_pending(), "nobody woke it, so it has nothing yet");
    }

    fn give_up(&mut self, job: usize) {
        if let Some(waiter) = self.waiters.remove(&job) {
            drop(waiter.acquire);
            self.twin.cancel(job, self.jobs[job].request.bytes.get());
            assert_eq!(waiter.bell.0.load(Relaxed), u64::from(waiter.served), "it is woken no more");
        }
    }

    fn take_up(&mut self, now: u64, job: usize) {
        let Some(mut waiter) = self.waiters.remove(&job) else { return };
        assert_eq!(self.twin.poll(job, self.jobs[job].request.bytes.get()), Answer::Admitted);
        let Poll::Ready(Ok(lease)) = poll(&mut waiter.acquire, &waiter.bell) else { panic!("it was woken in vain") };
        self.leases.insert(job, lease);
        self.plan(now + self.jobs[job].holds, What::End, job);
    }

    fn end(&mut self, job: usize) {
        let lease = self.leases.remove(&job).expect("a lease ends once");
        self.twin.release(lease.nbytes().get());
    }

    /// Whoever the twin served is woken, now and once; and nobody else.
    fn settle(&mut self, now: u64) {
        let mut served = Vec::new();
        for (&job, waiter) in &mut self.waiters {
            let has_its_turn = !self.twin.is_waiting(job);
            assert_eq!(waiter.bell.0.load(Relaxed), u64::from(has_its_turn), "job {job} at {now}");
            if has_its_turn && !std::mem::replace(&mut waiter.served, true) {
                served.push((job, waiter.number));
            }
        }
        for (job, number) in served {
            self.plan(now + self.jobs[job].slow, What::TakeUp, job);
            self.went(number);
            let waiter = &self.waiters[&job];
            let longest = (waiter.before + waiter.passed + 1) * (HOLDS + SLOW);
            let bounded = self.pool.fairness() != Fairness::Barging;
            assert!(!bounded || now - waiter.since <= longest, "job {job} waited since {} until {now}", waiter.since);
        }
        let (waiting, waiting_bytes) = self.pool.waiting();
        assert_eq!((waiting, waiting_bytes.get()), self.twin.waiting());
        assert_eq!(self.pool.available_bytes().get(), self.twin.available());
    }

    /// The `number`th to come was admitted: those who came before and still wait were passed, as often as the policy allows.
    fn went(&mut self, number: usize) {
        let fairness = self.pool.fairness();
        for (job, waiter) in self.waiters.iter_mut().filter(|(_, waiter)| !waiter.served && waiter.number < number) {
            waiter.passed += 1;
            let above = u64::from(HIGHEST_CLASS - self.jobs[*job].request.class);
            let most = match fairness {
                Fairness::Fifo => 0,
                Fairness::Priority { ageing } => u64::from(ageing) * above,
                _ => u64::MAX,
            };
            assert!(waiter.passed <= most, "job {job} was passed {} times", waiter.passed);
        }
    }
}

fn poll<'p>(
    acquire: &mut Pin<Box<Acquire<&'p MemoryPool>>>,
    bell: &Arc<Bell>,
) -> Poll<Result<Lease<&'p MemoryPool>, AcquireError>> {
    acquire.as_mut().poll(&mut Context::from_waker(&Waker::from(bell.clone())))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn at_every_moment(fairness in policies(), jobs in jobs()) {
        let pool = MemoryPool::with_fairness(Bytes(TOTAL), fairness).unwrap();
        let mut world = World {
            pool: &pool,
            twin: PoolTwin::new(TOTAL, fairness),
            jobs: &jobs,
            agenda: BTreeMap::new(),
            planned: 0,
            arrivals: 0,
            waiters: BTreeMap::new(),
            leases: BTreeMap::new(),
            put_away: Vec::new(),
        };
        world.run();
        prop_assert_eq!((pool.available_bytes(), pool.waiting()), (pool.total_bytes(), (0, Bytes::ZERO)));
    }
}
