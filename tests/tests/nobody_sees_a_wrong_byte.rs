//! Many threads over capacity, with yields by seed: no wrong byte, no move while pinned, never over the budget, no deadlock,
//! and exact books at the end. Behaviours G1, G5, H2, C4.
//!
//! Each thread works on entries of its own, on entries that it shares with others by key, and on handles that all threads
//! use. The far device notes every two copies that touch the same bytes at once. A failure prints its seed.

use freehold_cuda::{Access, Allocation, Stats, VramHandle, VramManager};
use freehold_tests::crowd::{assert_stands, unless_full, yielding};
use freehold_tests::seeded::{Random, perhaps_yield, seed_yields, under_seeds};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{content, on_both_devices, sourced, units};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

const THREADS: u64 = 8;
const CAPACITY: u64 = 48;

/// One thread's life: allocate, use, write, rank, drop, in random order.
struct Plugin<'a> {
    manager: &'a VramManager,
    everybodys: &'a [VramHandle],
    random: Random,
    /// Handles of its own, with what they hold.
    own: Vec<(VramHandle, u64)>,
    next: u64,
}

impl Plugin<'_> {
    fn step(&mut self) {
        match self.random.below(10) {
            0 | 1 => self.allocate(),
            2 => self.share(),
            3 => self.write(),
            4 if !self.own.is_empty() => {
                let gone = self.pick();
                drop(self.own.swap_remove(gone));
            }
            5 if !self.own.is_empty() => {
                let (at, priority) = (self.pick(), self.random.below(5) as i32 - 2);
                self.own[at].0.set_priority(priority);
            }
            6 => self.pin_several(),
            _ => self.use_everybodys(),
        }
        self.own.truncate(6);
    }

    fn pick(&mut self) -> usize {
        self.random.below(self.own.len() as u64) as usize
    }

    fn allocate(&mut self) {
        self.next += THREADS;
        let asked = sourced(self.next, units(1 + self.random.below(6))).priority(self.random.below(3) as i32);
        self.own.extend(unless_full(self.manager.allocate(asked)).map(|handle| (handle, self.next)));
    }

    fn share(&mut self) {
        let seed = 1000 + self.random.below(3);
        let asked = sourced(seed, units(3)).priority(self.random.below(3) as i32);
        let key = format!("shared {seed}");
        if let Some(shared) = unless_full(self.manager.acquire_shared_weights(&key, asked)) {
            if let Some(access) = unless_full(shared.access()) {
                assert_stands(&access, seed);
            }
            self.own.push((shared, seed));
        }
    }

    /// Writes another content over one of its own; it has to survive evictions and moves from then on.
    fn write(&mut self) {
        self.next += THREADS;
        let next = self.next;
        let Some((handle, holds)) = self.own.iter_mut().find(|(_, holds)| *holds < 1000 || *holds > 1002) else {
            return;
        };
        let right = content(next, handle.bytes());
        if let Some(mut access) = unless_full(handle.access_mut()) {
            access.write(0, &right).unwrap();
            *holds = next;
        }
    }

    fn pin_several(&mut self) {
        let pinned: Vec<(Access<'_>, u64)> =
            self.own.iter().take(3).filter_map(|(handle, seed)| Some((unless_full(handle.access())?, *seed))).collect();
        perhaps_yield();
        pinned.iter().for_each(|(access, seed)| assert_stands(access, *seed));
    }

    fn use_everybodys(&mut self) {
        let at = self.random.below(self.everybodys.len() as u64) as usize;
        if let Some(access) = unless_full(self.everybodys[at].access()) {
            assert_stands(&access, 2000 + at as u64);
        }
    }
}

/// H2: counts only grow, the peak is never below the current, the current never above the budget.
fn assert_consistent(before: &Stats, now: &Stats, budget: u64) {
    let counts = |stats: &Stats| {
        [stats.loads, stats.load_bytes, stats.evictions, stats.evicted_bytes, stats.moves, stats.refusals]
    };
    assert!(counts(before).iter().zip(counts(now)).all(|(before, now)| *before <= now), "{before:?} then {now:?}");
    assert!(now.resident_bytes <= now.peak_resident_bytes && now.peak_resident_bytes <= budget, "{now:?} of {budget}");
}

/// G1, G5, H2.
#[test]
fn eight_threads_over_capacity() {
    let _watchdog = watch("eight threads over capacity");
    on_both_devices(|world| {
        under_seeds(12, |seed| {
            let manager = yielding(world, CAPACITY);
            let everybodys: Vec<VramHandle> =
                (2000..2010).map(|seed| manager.register(sourced(seed, units(2 + seed % 3))).unwrap()).collect();
            let (done, samples) = (AtomicBool::new(false), AtomicU64::new(0));
            std::thread::scope(|scope| {
                let plugins: Vec<_> = (0..THREADS)
                    .map(|thread| {
                        let (manager, everybodys) = (&manager, &everybodys[..]);
                        let (random, next) = (Random::new(seed, thread), 10_000 + thread);
                        scope.spawn(move || {
                            seed_yields(seed, thread);
                            let mut plugin = Plugin { manager, everybodys, random, own: Vec::new(), next };
                            (0..500).for_each(|_| plugin.step());
                        })
                    })
                    .collect();
                let sampler = scope.spawn(|| {
                    let mut before = manager.stats();
                    while !done.load(Relaxed) {
                        let now = manager.stats();
                        assert_consistent(&before, &now, manager.budget().get());
                        before = now;
                        samples.fetch_add(1, Relaxed);
                        std::thread::yield_now();
                    }
                });
                let ended: Vec<_> = plugins.into_iter().map(|plugin| plugin.join()).collect();
                done.store(true, Relaxed);
                sampler.join().unwrap();
                assert!(ended.iter().all(Result::is_ok), "a plugin fell");
            });
            let stats = manager.stats();
            assert!(
                stats.evictions > 100 && stats.moves > 10 && samples.load(Relaxed) > 0,
                "{stats:?}: nothing was under pressure"
            );
            drop(everybodys);
            let books = manager.audit().unwrap();
            assert_eq!((books.handles, books.resident), (0, units(0)), "seed {seed}");
            assert_eq!(books.free, units(CAPACITY));
        });
    });
}

/// G1 and C10: fixed blocks are moved and never evicted while eight threads allocate around them.
#[test]
fn fixed_blocks_survive_the_crowd() {
    let _watchdog = watch("fixed blocks in the crowd");
    on_both_devices(|world| {
        under_seeds(4, |seed| {
            let manager = yielding(world, 40);
            std::thread::scope(|scope| {
                for thread in 0..THREADS {
                    let manager = &manager;
                    scope.spawn(move || {
                        seed_yields(seed, thread);
                        let mut random = Random::new(seed, thread);
                        for round in 0..60 {
                            let number = thread * 1000 + round;
                            let asked = Allocation::new(units(1 + random.below(3))).fixed();
                            let Some(mut fixed) = unless_full(manager.allocate(asked)) else { continue };
                            let right = content(number, fixed.bytes());
                            fixed.access_mut().unwrap().write(0, &right).unwrap();
                            let _crowd = unless_full(manager.allocate(sourced(1, units(1 + random.below(12)))));
                            perhaps_yield();
                            assert_stands(&fixed.access().unwrap(), number);
                        }
                    });
                }
            });
            assert_eq!(manager.audit().unwrap().resident, units(0));
        });
    });
}
