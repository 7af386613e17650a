//! A lease is released while the next holder is between "it does not fit" and "I wait": were the wake-up lost it would sleep
//! for ever, and were the hand-over not ordered it would not see what its predecessor wrote.

mod explore;

use explore::explore_within;
use freehold_core::{Bytes, MemoryPool};
use loom::cell::UnsafeCell;
use loom::sync::Arc;

struct Memory(UnsafeCell<u8>);
// SAFETY: the model's claim is that whoever has the lease is alone with the memory; loom checks it.
#[allow(unsafe_code)]
unsafe impl Sync for Memory {}

#[test]
fn a_release_wakes_whoever_is_just_queueing() {
    // Without a bound it passes too, in half a minute.
    explore_within(4, || {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let memory = Arc::new(Memory(UnsafeCell::new(0)));
        let (their_pool, theirs) = (pool.clone(), memory.clone());
        let thread = loom::thread::spawn(move || use_memory(&their_pool, &theirs));
        use_memory(&pool, &memory);
        thread.join().unwrap();
        assert_eq!(pool.available_bytes(), Bytes(1));
    });
}

fn use_memory(pool: &MemoryPool, memory: &Memory) {
    let lease = loom::future::block_on(pool.acquire_async(1)).unwrap();
    #[allow(unsafe_code)]
    // SAFETY: we have the only lease; that this suffices is what loom checks.
    memory.0.with_mut(|byte| unsafe { *byte += 1 });
    drop(lease);
}
