//! A hundred thousand cycles of mixed sizes over capacity leave the books, the device and the process as they were. Behaviour H3.

use freehold_cuda::{Allocation, Bytes, HostBytes, VramHandle};
use freehold_tests::seeded::Random;
use freehold_tests::world::{on_both_devices, units};
use std::sync::Arc;

/// This process's memory, in bytes.
fn resident_set() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").expect("Linux is where this is tested");
    status.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number of pages") * 4096
}

#[test]
fn a_hundred_thousand_cycles_leave_no_trace() {
    on_both_devices(|world| {
        let manager =
            world.builder(256).observer(Arc::new(freehold_tests::seeded::Yielding::default())).build().unwrap();
        let bytes: Arc<[u8]> = vec![7; 64 * 512].into();
        let mut random = Random::new(3, 3);
        let mut cycles = |count: u64| {
            let mut held: Vec<VramHandle> = Vec::new();
            for _ in 0..count {
                let size = Bytes(1 + random.below(64 * 512));
                let asked = Allocation::new(size).priority(random.below(3) as i32);
                let asked = if random.once_in(8) {
                    asked
                } else {
                    asked.source(HostBytes(bytes[..size.get() as usize].into()))
                };
                held.push(manager.allocate(asked).expect("nothing is pinned"));
                if held.len() > 16 {
                    held.swap_remove(random.below(16) as usize);
                }
            }
        };
        cycles(5_000); // what is kept for good, tables and buffers of the allocator, is kept by now
        let before = resident_set();
        cycles(95_000);
        let after = resident_set();
        assert!(after < before + (4 << 20), "{before} bytes grew to {after}");
        let books = manager.audit().unwrap();
        assert_eq!((books.handles, books.resident, books.free), (0, Bytes(0), units(256)));
        assert!(manager.stats().evictions > 10_000);
    });
}
