//! Allocations and accesses that wait for memory: they take nothing meanwhile, hold nobody up, are woken by what makes room,
//! and end in time. Behaviour E5.

use freehold_cuda::{Allocation, Error, Event, Observer, VramHandle};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{World, assert_holds, load, on_both_devices, sourced, units, written};
use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

/// Gives another thread time to begin to wait; nothing depends on whether it was enough.
fn let_it_wait() {
    thread::sleep(SHORT);
}

/// E5: what is too large for now waits, for its timeout and no longer, and takes nothing.
#[test]
fn a_timeout_ends_in_time_and_takes_nothing() {
    let _watchdog = watch("a timeout");
    on_both_devices(|world| {
        let manager = world.manager(4);
        let _fixed = written(&manager, 1, Allocation::new(units(3)).fixed());
        let before = manager.audit().unwrap();
        let began = Instant::now();
        let refused = manager.allocate_timeout(sourced(2, units(2)), SHORT);
        assert!(matches!(refused, Err(Error::OutOfMemory { .. })), "{refused:?}");
        assert!(began.elapsed() >= SHORT);
        assert!(manager.allocate_deadline(sourced(2, units(2)), began).is_err(), "a deadline that has passed");
        assert_eq!(manager.audit().unwrap(), before);
        let too_large = manager.allocate_timeout(sourced(2, units(5)), LONG);
        assert!(matches!(too_large, Err(Error::TooLarge { .. })), "what can never be is not waited for");
    });
}

/// How room is made while somebody waits.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Release,
    Unpin,
    Raise,
}

/// E5: a release, the end of a pin and a larger budget each wake who waits.
#[test]
fn whatever_makes_room_wakes_who_waits() {
    let _watchdog = watch("a wake-up");
    on_both_devices(|world| {
        for way in [Way::Release, Way::Unpin, Way::Raise] {
            let manager = world.manager(4);
            let in_the_way = if way == Way::Unpin {
                load(&manager, 1, 3)
            } else {
                written(&manager, 1, Allocation::new(units(3)).fixed())
            };
            let handle = &in_the_way;
            let guard = (way == Way::Unpin).then(|| handle.access().unwrap());
            thread::scope(|scope| {
                let waiter =
                    scope.spawn(|| manager.allocate_timeout(sourced(2, units(4 - u64::from(way == Way::Raise))), LONG));
                let_it_wait();
                match way {
                    Way::Release => handle.release(),
                    Way::Unpin => drop(guard),
                    Way::Raise => _ = manager.set_budget(units(8)).unwrap(),
                }
                assert_holds(&waiter.join().unwrap().unwrap(), 2);
            });
        }
    });
}

/// An observer that keeps whoever evicts waiting, until it is let go.
#[derive(Debug)]
struct Slow(Barrier);

impl Observer for Slow {
    fn event(&self, event: &Event) {
        if let Event::Evicted { .. } = event {
            self.0.wait();
            self.0.wait();
        }
    }
}

/// E5: what has its bytes charged, but no place yet, is in no survey: who was refused beside it looks again when it has one.
#[test]
fn what_is_on_its_way_to_its_place_is_not_missed() {
    let _watchdog = watch("a placement");
    let slow = Arc::new(Slow(Barrier::new(2)));
    let manager = World::host().builder(4).observer(slow.clone()).build().unwrap();
    let first = load(&manager, 1, 4);
    thread::scope(|scope| {
        let second = scope.spawn(|| load(&manager, 2, 3)); // evicts the first, and is held up
        slow.0.wait();
        let third = scope.spawn(|| manager.allocate_timeout(sourced(3, units(2)), LONG));
        let_it_wait();
        slow.0.wait();
        // The third evicts the second, and is held up by the observer in its turn.
        slow.0.wait();
        slow.0.wait();
        assert_holds(&third.join().unwrap().unwrap(), 3);
        assert!(!first.is_resident() && !second.join().unwrap().is_resident());
    });
}

/// E5: while a large request waits, what fits goes past it.
#[test]
fn who_waits_holds_nobody_up() {
    let _watchdog = watch("passing a waiter");
    on_both_devices(|world| {
        let manager = world.manager(8);
        let fixed = written(&manager, 1, Allocation::new(units(4)).fixed());
        thread::scope(|scope| {
            let waiter = scope.spawn(|| manager.allocate_timeout(sourced(2, units(6)), LONG));
            let_it_wait();
            for seed in 10..60 {
                assert_holds(&load(&manager, seed, 4), seed);
            }
            assert!(!waiter.is_finished());
            drop(fixed);
            assert_holds(&waiter.join().unwrap().unwrap(), 2);
        });
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}

/// E5: an access of an absent entry may wait too.
#[test]
fn an_access_may_wait() {
    let _watchdog = watch("an access that waits");
    on_both_devices(|world| {
        let manager = world.manager(4);
        let absent = manager.register(sourced(1, units(4))).unwrap();
        let pinned = load(&manager, 2, 1);
        let guard = pinned.access().unwrap();
        assert!(matches!(absent.access_timeout(SHORT), Err(Error::OutOfMemory { .. })));
        thread::scope(|scope| {
            let waiter = scope.spawn(|| absent.access_timeout(LONG).map(drop));
            let_it_wait();
            drop(guard);
            waiter.join().unwrap().unwrap();
        });
        assert_holds(&absent, 1);
    });
}

/// A waker that counts its calls and unparks its thread.
struct Counted(Thread, AtomicU64);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, SeqCst);
        self.0.unpark();
    }
}

/// The smallest executor there is: one future, one thread.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Counted(thread::current(), AtomicU64::new(0))));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::park(),
        }
    }
}

/// E5: as a future, on any executor; dropped, it takes nothing and loses nobody's wake-up.
#[test]
fn a_future_waits_and_may_be_dropped() {
    let _watchdog = watch("a future");
    on_both_devices(|world| {
        let manager = world.manager(4);
        let fits: VramHandle = block_on(manager.allocate_async(sourced(1, units(2)))).unwrap();
        assert_holds(&fits, 1);
        let guard = fits.access().unwrap();
        let counted = Arc::new(Counted(thread::current(), AtomicU64::new(0)));
        let waker = Waker::from(counted.clone());
        {
            let mut given_up = pin!(manager.allocate_async(sourced(2, units(4))));
            assert!(given_up.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        }
        thread::scope(|scope| {
            let waiter = scope.spawn(|| block_on(manager.allocate_async(sourced(3, units(4)))).unwrap());
            let_it_wait();
            drop(guard);
            assert_holds(&waiter.join().unwrap(), 3);
        });
        assert_eq!(counted.1.load(SeqCst), 0, "what was given up is not woken");
        assert_eq!(manager.audit().unwrap().handles, 1);
    });
}

/// E5: a crowd of waiters on a card for one: each gets its turn, nobody is forgotten.
#[test]
fn nobody_is_forgotten() {
    let _watchdog = watch("a crowd of waiters");
    on_both_devices(|world| {
        let manager = world.manager(4);
        thread::scope(|scope| {
            for thread in 0..6 {
                let manager = &manager;
                scope.spawn(move || {
                    for _ in 0..30 {
                        let mine = manager.allocate_timeout(Allocation::new(units(4)).fixed(), LONG).unwrap();
                        thread::yield_now();
                        drop((mine, thread));
                    }
                });
            }
        });
        assert_eq!(manager.audit().unwrap().handles, 0);
    });
}

/// E5: who waits sleeps: the failed attempts of several who wait for the same do not wake each other.
#[test]
fn those_who_wait_do_not_wake_each_other() {
    let _watchdog = watch("waiting for the same");
    on_both_devices(|world| {
        let manager = world.manager(4);
        let absent = manager.register(sourced(1, units(4))).unwrap();
        let pinned = load(&manager, 2, 1);
        let _guard = pinned.access().unwrap();
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| assert!(absent.access_timeout(5 * SHORT).is_err()));
                scope.spawn(|| assert!(manager.allocate_timeout(sourced(3, units(4)), 5 * SHORT).is_err()));
            }
        });
        let refusals = manager.stats().refusals;
        assert!(refusals < 100, "{refusals} attempts of six who waited for a tenth of a second");
    });
}

/// E5: a hopeless request beside it, which charges for blocks that it never finds, does not hide what is free from one that
/// fits: nobody sleeps on free bytes.
#[test]
fn what_fits_is_not_hidden_by_a_hopeless_request() {
    let manager = World::host().manager(10);
    let pinned = [0, 1, 2].map(|seed| load(&manager, seed, [3, 4, 3][seed as usize]));
    let [front, middle, back] = pinned;
    let guard = middle.access().unwrap();
    drop((front, back));
    let over = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::Relaxed) {
                assert!(manager.allocate(sourced(9, units(4))).is_err());
            }
        });
        for seed in 0..3000 {
            let fits = manager.allocate_timeout(sourced(seed, units(3)), Duration::from_secs(20));
            assert!(fits.is_ok(), "request {seed}: {:?}", fits.err());
        }
        over.store(true, std::sync::atomic::Ordering::Relaxed);
    });
    drop(guard);
}
