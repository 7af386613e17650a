//! The soak: 32 threads of 4 plugins over capacity, with sources that fail, panic, dawdle and lie about their length, random
//! drops, prefetches, priorities, budgets, handovers, reservations, trims, a spill budget that is too small, each policy in turn,
//! and closes in the middle of it all. No wrong byte, no deadlock, exact books, clean audits, no memory kept. Behaviours G1, G5,
//! B11, C5 to C10, C14, E3 to E6, H1 together.
//!
//! Five seconds, or `FREEHOLD_SOAK_SECONDS`.

use freehold_cuda::{Access, Allocation, Bytes, Error, Plugin, Policy, VramHandle, VramManager};
use freehold_tests::seeded::{Random, Yielding, perhaps_yield, seed_yields};
use freehold_tests::sources::{Moody, silence_panics_of_sources};
use freehold_tests::watchdog::watch_for;
use freehold_tests::world::{U, World, content, sourced, units};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

const THREADS: u64 = 32;
const CAPACITY: u64 = 96;
/// What the spill budget is in two rounds of three: less than what is without a source wants.
const SPILLED: u64 = 12;
const ROUND: Duration = Duration::from_millis(600);

fn seconds() -> u64 {
    std::env::var("FREEHOLD_SOAK_SECONDS").ok().and_then(|seconds| seconds.parse().ok()).unwrap_or(5)
}

/// What a thread of a plugin may meet; everything else ends the soak.
fn expected<T>(tried: Result<T, Error>) -> Option<T> {
    match tried {
        Ok(made) => Some(made),
        Err(
            Error::OutOfMemory { .. }
            | Error::TooLarge { .. }
            | Error::SourceFailed { .. }
            | Error::SourcePanicked { .. }
            | Error::SourceLength { .. }
            | Error::Released { .. }
            | Error::Closed,
        ) => None,
        Err(other) => panic!("{other}"),
    }
}

fn assert_right(access: &Access<'_>, seed: u64) {
    let (address, right) = (access.address(), content(seed, access.bytes()));
    let mut seen = vec![0; right.len()];
    access.read(0, &mut seen).unwrap();
    perhaps_yield();
    assert!(seen == right && access.address() == address, "content {seed} at {address:?}");
}

struct Worker<'a> {
    manager: &'a VramManager,
    plugin: &'a Plugin,
    crowd: &'a [VramHandle],
    random: Random,
    own: Vec<(VramHandle, u64)>,
    next: u64,
    checked: u64,
}

impl Worker<'_> {
    fn asked(&mut self) -> Allocation {
        self.next += THREADS;
        let size = units(1 + self.random.below(8));
        let asked = match self.random.below(4) {
            0 => sourced(self.next, size),
            _ => Allocation::new(size).source(Moody::new(self.next, size)),
        };
        asked.plugin(self.plugin).priority(self.random.below(4) as i32)
    }

    fn step(&mut self) {
        match self.random.below(18) {
            0..3 => {
                let asked = self.asked();
                self.keep(expected(self.manager.allocate(asked)));
            }
            3 => {
                let asked = self.asked();
                let patience = Duration::from_micros(self.random.below(2000));
                self.keep(expected(self.manager.allocate_timeout(asked, patience)));
            }
            4 => {
                let asked = self.asked();
                self.keep(expected(self.manager.register(asked)));
            }
            5 | 6 => self.share(),
            7 => self.write_fixed(),
            8 => self.own.truncate(self.random.below(6) as usize),
            9 => self.own.iter().for_each(|(handle, _)| handle.set_priority((self.next % 5) as i32)),
            10 => _ = expected(self.manager.evict_for_space(units(1 + self.random.below(CAPACITY)))),
            11 => {
                let at = self.random.below(self.crowd.len() as u64) as usize;
                let patience = Duration::from_micros(self.random.below(500));
                let access = expected(self.crowd[at].access_timeout(patience));
                self.check(access, 500 + at as u64);
            }
            12 => self.crowd.iter().for_each(|handle| _ = expected(handle.prefetch())),
            13 => self.own.iter().rev().for_each(|(handle, _)| _ = expected(handle.prefetch())),
            _ => self.use_own(),
        }
    }

    fn keep(&mut self, made: Option<VramHandle>) {
        self.own.extend(made.map(|handle| (handle, self.next)));
    }

    fn share(&mut self) {
        let seed = 100 + self.random.below(4);
        let asked = Allocation::new(units(5)).source(Moody::new(seed, units(5))).plugin(self.plugin);
        if let Some(shared) = expected(self.manager.acquire_shared_weights(&format!("{seed}"), asked)) {
            let access = expected(shared.access());
            self.check(access, seed);
            self.own.push((shared, seed));
        }
    }

    fn write_fixed(&mut self) {
        self.next += THREADS;
        let asked = Allocation::new(units(1 + self.random.below(3))).plugin(self.plugin);
        let asked = if self.random.once_in(2) { asked.fixed() } else { asked };
        let Some(mut made) = expected(self.manager.allocate(asked)) else { return };
        let right = content(self.next, made.bytes());
        if let Some(mut access) = expected(made.access_mut()) {
            access.write(0, &right).unwrap();
        } else {
            return;
        }
        self.keep(Some(made));
    }

    fn use_own(&mut self) {
        let pinned: Vec<_> = self
            .own
            .iter()
            .rev()
            .take(3)
            .filter_map(|(handle, seed)| Some((expected(handle.access())?, *seed)))
            .collect();
        pinned.iter().for_each(|(access, seed)| assert_right(access, *seed));
        self.checked += pinned.len() as u64;
    }

    fn check(&mut self, access: Option<Access<'_>>, seed: u64) {
        if let Some(access) = access {
            assert_right(&access, seed);
            self.checked += 1;
        }
    }
}

/// One who turns the knobs until the round is over.
fn turn_knobs(manager: &VramManager, over: &AtomicBool, seed: u64, most_spilled: u64) {
    let mut random = Random::new(seed, 999);
    while !over.load(Relaxed) {
        let size = units(CAPACITY / 2 + random.below(CAPACITY / 2 + 1));
        match random.below(6) {
            0 | 1 => _ = expected(manager.set_budget(size)),
            2 => _ = expected(manager.trim()),
            3 | 4 => {
                let ceiling = random.below(4) as i32;
                let lent = expected(manager.handover(units(random.below(CAPACITY + 1)), ceiling));
                std::thread::sleep(Duration::from_millis(2));
                drop(lent);
            }
            _ => {
                let reservation = expected(manager.reserve(units(random.below(8))));
                let within = reservation.as_ref().map(|set| sourced(1, units(2)).within(set));
                drop(within.and_then(|asked| expected(manager.allocate(asked))));
            }
        }
        let stats = manager.stats();
        let (peak, spilled) = (stats.peak_resident_bytes, stats.peak_spilled_bytes);
        assert!(peak <= CAPACITY * U, "{peak} bytes were resident at once");
        assert!(spilled <= most_spilled, "{spilled} bytes were spilled at once");
        std::thread::sleep(Duration::from_millis(3));
    }
}

/// One manager's life, closed while all are at work in every second round. Says how many contents were checked.
fn round(world: &World, seed: u64) -> u64 {
    let yielding = Arc::new(Yielding::default());
    let builder = world.builder(CAPACITY).clock(yielding.clone()).observer(yielding);
    let builder = if seed.is_multiple_of(3) { builder.arena_bytes(units(CAPACITY / 3)) } else { builder };
    let builder = if seed % 4 < 2 { builder.policy(Policy::PriorityNextUse) } else { builder };
    let most_spilled = if seed.is_multiple_of(3) { u64::MAX } else { SPILLED * U };
    let builder = builder.spill_budget(Bytes(most_spilled));
    let manager = builder.build().unwrap();
    let plugins: Vec<Plugin> = (0..4).map(|n| manager.plugin(&format!("plugin {n}"))).collect();
    let crowd: Vec<VramHandle> = (500..512).map(|seed| manager.register(sourced(seed, units(4))).unwrap()).collect();
    let (over, checked) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        for thread in 0..THREADS {
            let (manager, plugin, crowd) = (&manager, &plugins[thread as usize % 4], &crowd[..]);
            let (over, checked, random) = (&over, &checked, Random::new(seed, thread));
            scope.spawn(move || {
                seed_yields(seed, thread);
                let mut worker =
                    Worker { manager, plugin, crowd, random, own: Vec::new(), next: 10_000 + thread, checked: 0 };
                while !over.load(Relaxed) {
                    worker.step();
                    worker.own.truncate(8);
                }
                checked.fetch_add(worker.checked, Relaxed);
            });
        }
        scope.spawn(|| turn_knobs(&manager, &over, seed, most_spilled));
        std::thread::sleep(ROUND);
        if seed.is_multiple_of(2) {
            manager.close();
            std::thread::sleep(Duration::from_millis(20));
        }
        over.store(true, Relaxed);
    });
    drop(crowd);
    await_the_last_prefetch(&manager);
    let books = manager.audit().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    let nothing = (0, units(0), units(0), units(0));
    assert_eq!((books.handles, books.resident, books.set_aside, books.spilled), nothing, "seed {seed}");
    let stats = manager.stats();
    let of_plugins: u64 = plugins.iter().map(|plugin| plugin.stats().resident_bytes).sum();
    assert_eq!((stats.resident_bytes, of_plugins), (0, 0));
    assert!(stats.evictions > 0 && stats.refusals > 0, "{stats:?}: nothing was under pressure");
    checked.into_inner()
}

/// The worker holds what it is bringing, and lets go of it a moment after everybody else.
fn await_the_last_prefetch(manager: &VramManager) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !manager.audit().is_ok_and(|books| books.handles == 0) {
        assert!(Instant::now() < deadline, "somebody holds a handle: {:?}", manager.audit());
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// This process's memory, in bytes.
fn resident_set() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux is where this is tested");
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages") * 4096
}

#[test]
fn thirty_two_threads_and_every_misfortune() {
    silence_panics_of_sources();
    let _watchdog = watch_for("the soak", Duration::from_secs(600 + 3 * seconds()));
    let end = Instant::now() + Duration::from_secs(seconds());
    let (mut seed, mut checked, mut after_two) = (0_u64, 0, 0);
    while Instant::now() < end {
        seed += 1;
        println!("round {seed}");
        let world = if seed.is_multiple_of(2) { World::host() } else { World::far() };
        checked += round(&world, seed / 2 + 1);
        world.check();
        if let Some(far) = &world.far {
            assert_eq!(far.regions(), 0, "all memory is back with the device");
        }
        if seed == 2 {
            after_two = resident_set();
        }
    }
    let now = resident_set();
    println!("{seed} rounds, {checked} contents checked, {after_two} bytes then {now}");
    assert!(checked > 100 * seed, "{checked} contents in {seed} rounds");
    assert!(now < after_two + (32 << 20), "{after_two} bytes grew to {now}");
}
