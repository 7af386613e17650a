//! Allocate and free on one thread, beside the floors and the peers, all unlocked.
//!
//! First every contender is shown not to hand out a byte twice. Then criterion measures the pairs; then all take turns in
//! rounds, from which come the table and the record. [`freehold_benches::report`] has the variables.

use freehold_benches::contender::{Alone, Shape};
use freehold_benches::floors::{FetchAdd, LoadCas, MutexPair, Nothing};
use freehold_benches::freehold::{AnySlot, Freehold};
use freehold_benches::peers::{BuddySystem, FrameAlloc, OffsetAllocator, RangeAlloc, Rlsf, Xalloc};
use freehold_benches::random::Sizes;
use freehold_benches::rounds::{Workload, measure};
use freehold_benches::shadow;
use freehold_benches::workload::{Burst, Pair, Pool, solo};

/// A lane for each contender: `$make` is the work, made anew for each.
macro_rules! everybody {
    ($shape:expr, $make:expr) => {
        vec![
            solo::<Nothing, _>($shape, $make),
            solo::<FetchAdd, _>($shape, $make),
            solo::<LoadCas, _>($shape, $make),
            solo::<MutexPair, _>($shape, $make),
            solo::<Freehold, _>($shape, $make),
            solo::<AnySlot, _>($shape, $make),
            solo::<FrameAlloc, _>($shape, $make),
            solo::<Alone<Xalloc>, _>($shape, $make),
            solo::<Alone<OffsetAllocator>, _>($shape, $make),
            solo::<Alone<Rlsf>, _>($shape, $make),
            solo::<Alone<BuddySystem>, _>($shape, $make),
            solo::<Alone<RangeAlloc>, _>($shape, $make),
        ]
    };
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

fn workloads() -> Vec<Workload> {
    let mut all: Vec<Workload> = Vec::new();
    for (size, bytes) in [("256 B", 256), ("4 KiB", 4 * KIB), ("64 KiB", 64 * KIB), ("1 MiB", MIB)] {
        for (state, warm) in [("cold", false), ("warm", true)] {
            let make = move || everybody!(Shape::gib(512), Pair::new(bytes, warm));
            all.push((format!("{state} {size}"), Box::new(make)));
        }
    }
    for percent in [50, 90] {
        let (limit, sizes) = (GIB / 100 * percent, Sizes::Powers(4 * KIB, 4 * MIB));
        let make = move || everybody!(Shape::gib(4 * KIB), Pool::new(limit, sizes, 0));
        all.push((format!("pool{percent}"), Box::new(make)));
    }
    for granule in [512, 4 * KIB] {
        let (limit, sizes) = (GIB / 100 * 90, Sizes::Exact(4 * KIB, 4 * MIB));
        let make = move || everybody!(Shape::gib(granule), Pool::new(limit, sizes, 0));
        all.push((format!("exact90, granule {granule}"), Box::new(make)));
    }
    for (name, sizes) in [("4 KiB", Sizes::Powers(4 * KIB, 4 * KIB)), ("exact", Sizes::Exact(4 * KIB, 256 * KIB))] {
        let make = move || everybody!(Shape::gib(512), Burst::new(300, sizes));
        all.push((format!("burst of 300, {name}"), Box::new(make)));
    }
    all
}

fn check() {
    shadow::verify_alone::<Freehold>();
    shadow::verify_alone::<AnySlot>();
    shadow::verify_alone::<FrameAlloc>();
    shadow::verify_alone::<Alone<Xalloc>>();
    shadow::verify_alone::<Alone<OffsetAllocator>>();
    shadow::verify_alone::<Alone<Rlsf>>();
    shadow::verify_alone::<Alone<BuddySystem>>();
    shadow::verify_alone::<Alone<RangeAlloc>>();
}

fn main() {
    check();
    measure("allocate_free", workloads());
}
