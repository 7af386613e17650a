//! C10 and C11 under a spill budget: what an eviction has to write out is charged to host memory of its own, comes back
//! bit-identical, and what cannot be charged stays on the card, which E1's numbers say.

use freehold_cuda::{Allocation, Bytes, Error, HostBytes, ManualClock, VramHandle, VramManager};
use freehold_tests::files::pattern;
use std::collections::VecDeque;
use std::sync::Arc;

const KIB: u64 = 1 << 10;

fn manager(budget: u64, spill: u64) -> VramManager {
    VramManager::builder().budget(Bytes(budget)).spill_budget(Bytes(spill)).build().unwrap()
}

/// A buffer without a source, filled from `seed`.
fn scratch(manager: &VramManager, bytes: u64, seed: u64) -> VramHandle {
    let mut handle = manager.allocate(Allocation::new(Bytes(bytes)).label(seed.to_string())).unwrap();
    handle.access_mut().unwrap().write(0, &pattern(seed, bytes as usize)).unwrap();
    handle
}

fn content(handle: &VramHandle) -> Vec<u8> {
    let mut bytes = vec![0; handle.bytes().get() as usize];
    handle.access().unwrap().read(0, &mut bytes).unwrap();
    bytes
}

/// What the manager has spilled now, by both of its books.
fn spilled(manager: &VramManager) -> u64 {
    let (books, stats) = (manager.audit().unwrap(), manager.stats());
    assert_eq!(books.spilled, Bytes(stats.spilled_bytes));
    assert!(stats.peak_spilled_bytes >= stats.spilled_bytes);
    stats.spilled_bytes
}

#[test]
fn what_was_spilled_comes_back_and_leaves_the_budget() {
    let manager = manager(512 * KIB, 200 * KIB);
    // On the heap and in pages of its own, and a size that is no granule's.
    for bytes in [1000, 64 * KIB, 128 * KIB, 199_999] {
        let handle = scratch(&manager, bytes, bytes);
        for _ in 0..3 {
            manager.evict_for_space(Bytes(512 * KIB)).unwrap();
            assert_eq!((handle.is_resident(), spilled(&manager)), (false, bytes));
            assert_eq!(content(&handle), pattern(bytes, bytes as usize));
            assert_eq!(spilled(&manager), 0);
        }
    }
    assert_eq!((manager.stats().spills, manager.stats().peak_spilled_bytes), (12, 199_999));
}

#[test]
fn what_does_not_fit_the_spill_budget_is_not_evictable_and_the_refusal_says_so() {
    let manager = manager(16 * KIB, 4 * KIB);
    let (first, second) = (scratch(&manager, 4 * KIB, 1), scratch(&manager, 4 * KIB, 2));
    let weights = Allocation::new(Bytes(4 * KIB)).source(HostBytes(pattern(3, 4 * KIB as usize).into()));
    let weights = manager.allocate(weights).unwrap();
    assert_eq!(manager.lru_order().iter().map(|left| left.id).collect::<Vec<_>>(), [first.id(), weights.id()]);

    let refused = manager.evict_for_space(Bytes(16 * KIB)).unwrap_err();
    let Error::OutOfMemory { requested, free, evictable, pinned, .. } = refused else { panic!("{refused}") };
    assert_eq!((requested, free), (Bytes(16 * KIB), Bytes(4 * KIB)));
    assert_eq!((evictable, pinned), (Bytes(8 * KIB), Bytes(4 * KIB)), "the second scratch buffer has to stay");
    assert_eq!((manager.stats().evictions, spilled(&manager)), (0, 0), "refused before the first eviction");

    let left = manager.evict_for_space(Bytes(12 * KIB)).unwrap();
    assert_eq!(left.iter().map(|left| left.id).collect::<Vec<_>>(), [first.id(), weights.id()]);
    assert_eq!(spilled(&manager), 4 * KIB);
    drop(first); // absent, and what was spilled goes with it
    assert_eq!(spilled(&manager), 0);
    manager.evict_for_space(Bytes(16 * KIB)).unwrap();
    assert_eq!((content(&second), content(&weights)), (pattern(2, 4096), pattern(3, 4096)));
}

#[test]
fn the_order_of_leaving_decides_who_may_be_spilled() {
    let clock = Arc::new(ManualClock::new());
    let manager = VramManager::builder().budget(Bytes(16 * KIB)).spill_budget(Bytes(6 * KIB)).clock(clock.clone());
    let manager = manager.build().unwrap();
    let (large, small, hot) = (scratch(&manager, 5 * KIB, 1), scratch(&manager, 3 * KIB, 2), scratch(&manager, KIB, 3));
    clock.set(9);
    hot.touch();
    let order = || manager.lru_order().iter().map(|left| left.id).collect::<Vec<_>>();
    assert_eq!(order(), [large.id(), hot.id()], "the coldest first, though two others would fit where it does");
    large.set_priority(1);
    assert_eq!(order(), [small.id(), hot.id()]);
}

#[test]
fn what_stays_for_the_spill_budget_may_still_be_moved() {
    let manager = manager(12 * KIB, 0);
    let (first, second) = (scratch(&manager, 4 * KIB, 1), scratch(&manager, 4 * KIB, 2));
    drop(first);
    let large = manager.allocate(Allocation::new(Bytes(8 * KIB)).fixed()).unwrap();
    assert_eq!((manager.stats().evictions, manager.stats().moves), (0, 1));
    drop(large);
    assert_eq!(content(&second), pattern(2, 4096));
    manager.audit().unwrap();
}

#[test]
fn clean_weights_need_no_spill_and_written_ones_do() {
    let manager = manager(8 * KIB, 0);
    let weights = Allocation::new(Bytes(4 * KIB)).source(HostBytes(pattern(1, 4096).into()));
    let mut weights = manager.allocate(weights).unwrap();
    manager.evict_for_space(Bytes(8 * KIB)).unwrap();
    weights.access_mut().unwrap().write(0, b"written").unwrap();
    let refused = manager.evict_for_space(Bytes(8 * KIB)).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { pinned: Bytes(4096), .. }), "{refused}");
    assert_eq!(&content(&weights)[..7], b"written");
}

#[test]
fn release_and_close_give_spilled_bytes_back() {
    let manager = manager(4 * KIB, 64 * KIB);
    let handles: Vec<VramHandle> = (0..8).map(|seed| scratch(&manager, 4 * KIB, seed)).collect();
    assert_eq!(spilled(&manager), 28 * KIB);
    handles[0].release();
    handles[0].release();
    assert_eq!(spilled(&manager), 24 * KIB);
    let report = manager.close();
    assert_eq!(report.live.len(), 7);
    assert_eq!(manager.stats().spilled_bytes, 0, "with the manager, though the handles live on");
}

#[test]
fn eviction_release_and_access_race_and_the_books_stay_exact() {
    let manager = manager(16 * KIB, 24 * KIB);
    std::thread::scope(|scope| {
        for thread in 0..4_u64 {
            let manager = &manager;
            scope.spawn(move || {
                let mut kept = VecDeque::new();
                for seed in (0..300).map(|round| thread * 1000 + round) {
                    // Card and spill together hold less than is kept: some are refused, and that is all.
                    let Ok(mut handle) = manager.allocate(Allocation::new(Bytes(4 * KIB))) else { continue };
                    let Ok(mut access) = handle.access_mut() else { continue };
                    access.write(0, &pattern(seed, 4096)).unwrap();
                    drop(access);
                    kept.push_back((seed, handle));
                    for (seed, handle) in &kept {
                        let Ok(access) = handle.access() else { continue };
                        assert_eq!(access.as_host_slice().unwrap(), pattern(*seed, 4096), "seed {seed}");
                    }
                    kept.truncate(6);
                    kept.rotate_left(1.min(kept.len()));
                }
            });
        }
    });
    assert_eq!(spilled(&manager), 0);
    assert_eq!(manager.audit().unwrap().handles, 0);
    assert!(manager.stats().spills > 0 && manager.stats().peak_spilled_bytes <= 24 * KIB, "{:?}", manager.stats());
}

#[test]
#[cfg(target_os = "linux")]
fn spilling_over_and_over_leaves_host_memory_as_it_was() {
    let resident = || {
        let pages = std::fs::read_to_string("/proc/self/statm").unwrap();
        pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4 * KIB
    };
    let manager = manager(8 << 20, 64 << 20);
    let sizes = [5 << 20, 3 << 20, 300 * KIB, 40 * KIB, 7 << 20];
    let handles: Vec<VramHandle> = sizes.iter().map(|&bytes| scratch(&manager, bytes, bytes)).collect();
    let round = || {
        for (handle, &bytes) in handles.iter().zip(&sizes) {
            let access = handle.access().unwrap();
            assert_eq!(access.as_host_slice().unwrap()[..16], pattern(bytes, 16));
        }
    };
    (0..5).for_each(|_| round());
    let before = resident();
    (0..40).for_each(|_| round());
    let grown = resident().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} more bytes after 40 rounds of {} spilled", manager.stats().spills);
}
