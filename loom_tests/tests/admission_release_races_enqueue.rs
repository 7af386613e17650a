//! A lease is released while the next holder is between "it does not fit" and "I wait": were the wake-up lost it would sleep
//! for ever, and were the hand-over not ordered it would not see what its predecessor wrote.

mod explore;
mod memory;

use explore::explore_within;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use memory::Memory;

#[test]
fn a_release_wakes_whoever_is_just_queueing() {
    // Without a bound it passes too, in half a minute.
    explore_within(4, || {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let memory = Arc::new(Memory::default());
        let (their_pool, theirs) = (pool.clone(), memory.clone());
        let thread = loom::thread::spawn(move || use_memory(&their_pool, &theirs));
        use_memory(&pool, &memory);
        thread.join().unwrap();
        assert_eq!(pool.available_bytes(), Bytes(1));
    });
}

fn use_memory(pool: &MemoryPool, memory: &Memory) {
    let lease = loom::future::block_on(pool.acquire_async(1)).unwrap();
    memory.write(1);
    drop(lease);
}
