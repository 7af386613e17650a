//! The statistics speak PyTorch's keys, agree with each other and with the books at every step, and lose no count to threads. Behaviour H2.
//!
//! Not covered: what is read while others are at work, but that each number is possible.

use freehold_cuda::observe::{ByPool, Statistics};
use freehold_cuda::{Allocation, Bytes, HostDevice, VramHandle, VramManager};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::world::{U, World, load, sourced, units};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Every key of `torch.cuda.memory_stats` in PyTorch 2.7, the nested ones flattened as it does.
fn torch_keys() -> Vec<String> {
    let nested = [
        "allocation",
        "segment",
        "active",
        "inactive_split",
        "allocated_bytes",
        "reserved_bytes",
        "active_bytes",
        "inactive_split_bytes",
        "requested_bytes",
    ];
    let metrics = ["current", "peak", "allocated", "freed"];
    let pools = nested.iter().flat_map(|name| ["all", "large_pool", "small_pool"].map(|pool| format!("{name}.{pool}")));
    let oversize = ["oversize_allocations", "oversize_segments"].map(str::to_owned);
    let mut keys: Vec<String> =
        pools.chain(oversize).flat_map(|name| metrics.map(|metric| format!("{name}.{metric}"))).collect();
    let flat = ["num_alloc_retries", "num_ooms", "max_split_size", "num_sync_all_streams", "num_device_alloc"];
    keys.extend(flat.map(str::to_owned));
    keys.push("num_device_free".to_owned());
    keys
}

#[test]
fn every_key_of_torch_is_there() {
    let manager = World::host().manager(8);
    let flat = manager.statistics().flat();
    for key in torch_keys() {
        assert!(flat.contains_key(&key), "{key} is missing");
    }
    let others = flat.keys().filter(|key| !key.starts_with("freehold."));
    assert_eq!(others.count(), torch_keys().len(), "and no other key without our name");
    let json: serde_json::Value = serde_json::from_str(&manager.statistics().to_json()).unwrap();
    assert_eq!(json.as_object().unwrap().len(), flat.len());
}

fn each(statistics: &Statistics) -> [&ByPool; 9] {
    let Statistics { allocation, segment, active, inactive_split, allocated_bytes, .. } = statistics;
    let Statistics { reserved_bytes, active_bytes, inactive_split_bytes, requested_bytes, .. } = statistics;
    [
        allocation,
        segment,
        active,
        inactive_split,
        allocated_bytes,
        reserved_bytes,
        active_bytes,
        inactive_split_bytes,
        requested_bytes,
    ]
}

/// What must hold of any statistics of a manager that nobody else uses.
fn assert_consistent(manager: &VramManager, statistics: &Statistics) {
    for by_pool in each(statistics) {
        for quantity in [by_pool.all, by_pool.large_pool, by_pool.small_pool] {
            assert_eq!(quantity.current, quantity.allocated - quantity.freed, "{by_pool:?}");
            assert!(quantity.peak >= quantity.current, "{by_pool:?}");
        }
        assert_eq!(by_pool.all.current, by_pool.large_pool.current + by_pool.small_pool.current);
    }
    let books = manager.audit().unwrap();
    assert_eq!(statistics.allocated_bytes.all.current, books.resident.get());
    assert_eq!(statistics.allocation.all.current, books.buffers as u64);
    assert_eq!(statistics.reserved_bytes.all.current, (books.resident + books.free).get());
    assert_eq!(statistics.admission.set_aside, books.set_aside.get());
    assert_eq!(statistics.admission.charged, (books.resident + books.set_aside).get());
    let r = &statistics.residency;
    let known = [r.resident, r.pinned, r.materialising, r.evicting, r.absent].map(|share| share.entries);
    assert_eq!(known.iter().sum::<u64>(), books.handles as u64);
    assert_eq!(statistics.totals, manager.stats());
    let sum =
        |of: fn(&freehold_cuda::Stats) -> u64| statistics.plugins.iter().map(|plugin| of(&plugin.stats)).sum::<u64>();
    assert_eq!(sum(|stats| stats.loads), statistics.totals.loads);
    assert_eq!(sum(|stats| stats.evicted_bytes), statistics.totals.evicted_bytes);
    assert_eq!(sum(|stats| stats.resident_bytes), statistics.totals.resident_bytes);
    let by_priority =
        |of: fn(&freehold_cuda::observe::PriorityStatistics) -> u64| statistics.priorities.iter().map(of).sum::<u64>();
    assert_eq!(by_priority(|at| at.loads), statistics.totals.loads);
    assert_eq!(by_priority(|at| at.evictions), statistics.totals.evictions);
    assert_eq!(by_priority(|at| at.moved_bytes), statistics.totals.moved_bytes);
    assert_eq!(by_priority(|at| at.entries.entries), books.handles as u64);
}

#[test]
fn they_agree_with_the_books_at_every_step() {
    under_seeds(40, |seed| {
        let mut random = Random::new(seed, 0);
        let manager = World::host().builder(40).arena_bytes(units(16)).build().unwrap();
        let plugins = ["one", "two"].map(|name| manager.plugin(name));
        let (mut handles, mut accesses) = (Vec::<VramHandle>::new(), 0);
        for number in 0..60 {
            match random.below(6) {
                0 if !handles.is_empty() => drop(handles.swap_remove(random.below(handles.len() as u64) as usize)),
                1 | 2 if !handles.is_empty() => {
                    accesses += 1;
                    let _ = handles[random.below(handles.len() as u64) as usize].access();
                }
                3 => drop(manager.trim()),
                _ => {
                    let size = Bytes(1 + random.below(9 * U));
                    let asked = sourced(number, size).plugin(&plugins[random.below(2) as usize]);
                    let asked = if random.once_in(5) { asked.fixed() } else { asked };
                    handles.extend(manager.allocate(asked.priority(random.below(3) as i32)));
                }
            }
            let statistics = manager.statistics();
            assert_consistent(&manager, &statistics);
            assert_eq!(statistics.hits + statistics.misses, accesses);
        }
        drop(handles);
        assert_eq!(manager.statistics().allocation.all.current, 0);
    });
}

/// As `torch.cuda.reset_peak_memory_stats` and `reset_accumulated_memory_stats`; `stats()` goes on.
#[test]
fn resets_are_those_of_torch() {
    let manager = World::host().manager(16);
    let kept = load(&manager, 1, 2);
    drop(load(&manager, 2, 10));
    let seen = manager.statistics();
    assert_eq!((seen.allocated_bytes.all.peak, seen.allocated_bytes.all.allocated), (12 * U, 12 * U));
    manager.reset_peak_statistics();
    let seen = manager.statistics();
    assert_eq!((seen.allocated_bytes.all.peak, seen.allocated_bytes.all.allocated), (2 * U, 12 * U));
    assert_eq!(manager.stats().peak_resident_bytes, 12 * U, "of all time");
    manager.reset_accumulated_statistics();
    let seen = manager.statistics();
    let bytes = seen.allocated_bytes.all;
    assert_eq!((bytes.current, bytes.peak, bytes.allocated, bytes.freed), (2 * U, 2 * U, 0, 0));
    drop(load(&manager, 3, 5));
    let bytes = manager.statistics().allocated_bytes.all;
    assert_eq!((bytes.current, bytes.peak, bytes.allocated, bytes.freed), (2 * U, 7 * U, 5 * U, 5 * U));
    assert!(manager.allocate(Allocation::new(units(15)).fixed()).is_ok(), "the other leaves");
    drop(kept);
    assert_eq!(manager.stats().loads, 3);
}

/// PyTorch's boundary: a request of at most 1 MiB is of the small pool.
#[test]
fn small_and_large_are_told_apart_at_one_mebibyte() {
    let manager = VramManager::builder().budget(Bytes(8 << 20)).build().unwrap();
    let _small = manager.allocate(Allocation::new(Bytes(1 << 20)).fixed()).unwrap();
    let _large = manager.allocate(Allocation::new(Bytes((1 << 20) + 1)).fixed()).unwrap();
    let requested = manager.statistics().requested_bytes;
    assert_eq!((requested.small_pool.current, requested.large_pool.current), (1 << 20, (1 << 20) + 1));
}

/// A device that refuses regions although the budget allows them: E2, as PyTorch counts it.
#[test]
fn retries_and_refusals_are_counted() {
    let device = Arc::new(HostDevice::with_limit(Bytes(4 << 20)));
    let builder = VramManager::builder().device(device).budget(Bytes(16 << 20)).arena_bytes(Bytes(2 << 20));
    let manager = builder.build().unwrap();
    let blocks: Vec<_> = (0..4).map(|_| manager.allocate(Allocation::new(Bytes(2 << 20)).fixed())).collect();
    let statistics = manager.statistics();
    assert_eq!(blocks.iter().filter(|block| block.is_ok()).count(), 2);
    assert!(statistics.num_alloc_retries >= 2, "{statistics:?}");
    assert_eq!((statistics.num_ooms, statistics.num_device_alloc), (2, 2));
    drop(blocks);
    manager.trim().unwrap();
    let statistics = manager.statistics();
    assert_eq!((statistics.num_device_free, statistics.segment.all.current), (2, 0));
    assert_eq!(statistics.reserved_bytes.all.peak, 4 << 20);
}

/// Each thread counts in a cell of its own, and more threads than cells lose nothing; who reads meanwhile sees nothing impossible.
#[test]
fn threads_lose_no_count() {
    let manager = World::host().manager(1000);
    let entry = load(&manager, 1, 1);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Relaxed) {
                let seen = manager.statistics();
                assert!(seen.allocation.all.current <= 41 && seen.allocated_bytes.all.peak <= 1000 * U, "{seen:?}");
                assert!(seen.hits <= 40 * 200);
            }
        });
        let workers: Vec<_> = (0..40)
            .map(|_| {
                scope.spawn(|| {
                    for _ in 0..200 {
                        drop(entry.access().unwrap());
                        drop(manager.allocate(Allocation::new(units(1)).fixed()).unwrap());
                    }
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        done.store(true, Relaxed);
    });
    let seen = manager.statistics();
    assert_eq!((seen.hits, seen.allocation.all.allocated, seen.allocation.all.freed), (8000, 8001, 8000));
    assert_consistent(&manager, &seen);
}

/// Plugins come and go; what they counted stays under their names, and nothing grows but with names.
#[test]
fn what_a_plugin_counted_outlives_it() {
    let manager = World::host().manager(8);
    for round in 0..500 {
        let plugin = manager.plugin(if round % 2 == 0 { "even" } else { "odd" });
        drop(manager.allocate(sourced(round, units(1)).plugin(&plugin)).unwrap());
    }
    let loads: Vec<(String, u64)> =
        manager.statistics().plugins.iter().map(|plugin| (plugin.name.to_string(), plugin.stats.loads)).collect();
    assert_eq!(loads, [("".to_owned(), 0), ("even".to_owned(), 250), ("odd".to_owned(), 250)]);
}
