//! Allocate and free on several threads at one arena: two, and all cores where there are more.
//!
//! The peers that know no threads stand behind a `parking_lot` mutex; the floors but the mutex have a counter for each thread.
//! Times are of all threads together: half of one thread's is what two threads that do not meet would show.
//! First every contender is shown not to hand out a byte twice. [`freehold_benches::report`] has the variables.

use freehold_benches::contender::{Contender, Locked, Shape};
use freehold_benches::floors::{FetchAdd, LoadCas, MutexPair};
use freehold_benches::freehold::{AnySlot, Freehold};
use freehold_benches::peers::{BuddySystem, FrameAlloc, OffsetAllocator, RangeAlloc, Rlsf, Xalloc};
use freehold_benches::random::Sizes;
use freehold_benches::rounds::{Workload, measure};
use freehold_benches::shadow;
use freehold_benches::workload::{Larson, Pair, Pool, crowd, tail};
use std::thread;

/// A lane for each contender: `$lane` makes it, `$works` is what each thread does, made anew for each contender.
macro_rules! everybody {
    ($lane:ident, $shape:expr, $works:expr) => {
        vec![
            $lane!(FetchAdd, $shape, $works),
            $lane!(LoadCas, $shape, $works),
            $lane!(MutexPair, $shape, $works),
            $lane!(Freehold, $shape, $works),
            $lane!(AnySlot, $shape, $works),
            $lane!(FrameAlloc, $shape, $works),
            $lane!(Locked<Xalloc>, $shape, $works),
            $lane!(Locked<OffsetAllocator>, $shape, $works),
            $lane!(Locked<Rlsf>, $shape, $works),
            $lane!(Locked<BuddySystem>, $shape, $works),
            $lane!(Locked<RangeAlloc>, $shape, $works),
        ]
    };
}

macro_rules! crowd_lane {
    ($contender:ty, $shape:expr, $works:expr) => {
        crowd::<$contender, _>($shape, $works)
    };
}

macro_rules! tail_lane {
    ($contender:ty, $shape:expr, $works:expr) => {
        tail::<$contender>($shape, $works)
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// The same pair for each thread.
fn pairs<B>(threads: usize, bytes: u64) -> Vec<Pair<B>> {
    (0..threads).map(|_| Pair::new(bytes, true)).collect()
}

/// A live set for each thread, of equal parts of so many percent of the arena.
fn pools<B>(threads: usize, percent: u64, sizes: Sizes) -> Vec<Pool<B>> {
    let part = GIB / 100 * percent / threads as u64;
    (0..threads).map(|thread| Pool::new(part, sizes, thread)).collect()
}

fn workloads(threads: usize) -> Vec<Workload> {
    let powers = Sizes::Powers(4 * KIB, 4 * MIB);
    let exact = Sizes::Exact(4 * KIB, 4 * MIB);
    let mut all: Vec<Workload> = Vec::new();
    for (size, bytes) in [("4 KiB", 4 * KIB), ("64 KiB", 64 * KIB)] {
        let make = move || everybody!(crowd_lane, Shape::gib(512), pairs(threads, bytes));
        all.push((format!("{threads}T warm {size}"), Box::new(make)));
    }
    for percent in [50, 90] {
        let make = move || everybody!(crowd_lane, Shape::gib(4 * KIB), pools(threads, percent, powers));
        all.push((format!("{threads}T pool{percent}"), Box::new(make)));
    }
    for granule in [512, 4 * KIB] {
        let make = move || everybody!(crowd_lane, Shape::gib(granule), pools(threads, 90, exact));
        all.push((format!("{threads}T exact90, granule {granule}"), Box::new(make)));
    }
    let make = move || everybody!(tail_lane, Shape::gib(4 * KIB), pools(threads, 90, powers));
    all.push((format!("{threads}T p99.9 of allocate, pool90"), Box::new(make)));
    let make = move || everybody!(tail_lane, Shape::gib(512), pools(threads, 90, exact));
    all.push((format!("{threads}T p99.9 of allocate, exact90"), Box::new(make)));
    let bags =
        move || everybody!(crowd_lane, Shape::gib(4 * KIB), Larson::crowd(threads, Sizes::Powers(4 * KIB, 256 * KIB)));
    all.push((format!("{threads}T Larson"), Box::new(bags)));
    all
}

/// What more threads bring, in the same rounds: each contender by itself, on one thread, on two, and on all cores.
fn scaling(cores: usize) -> Workload {
    let make = move || {
        let by_threads = |threads: usize| {
            let name = |who: &str| format!("{who}, {threads}T");
            [
                crowd::<LoadCas, _>(Shape::gib(512), pairs(threads, 4 * KIB)).named(name("floor: load+CAS")),
                crowd::<Freehold, _>(Shape::gib(512), pairs(threads, 4 * KIB)).named(name("freehold")),
                crowd::<FrameAlloc, _>(Shape::gib(512), pairs(threads, 4 * KIB)).named(name("frame-alloc")),
            ]
        };
        crowds(cores).into_iter().flat_map(by_threads).collect()
    };
    ("scaling of warm 4 KiB".to_owned(), Box::new(make))
}

/// One thread, two, and as many as there are cores.
fn crowds(cores: usize) -> Vec<usize> {
    let all = (cores > 2).then_some(cores);
    [1, 2].into_iter().chain(all).collect()
}

fn check<C: Contender + Sync>(most: usize) {
    [2, most].into_iter().for_each(shadow::verify::<C>);
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(64);
    check::<Freehold>(cores);
    check::<AnySlot>(cores);
    check::<FrameAlloc>(cores);
    check::<Locked<Xalloc>>(cores);
    check::<Locked<OffsetAllocator>>(cores);
    check::<Locked<Rlsf>>(cores);
    check::<Locked<BuddySystem>>(cores);
    check::<Locked<RangeAlloc>>(cores);

    measure("contention", crowds(cores).into_iter().skip(1).flat_map(workloads).chain([scaling(cores)]).collect());
}
