//! Between a newcomer's look at the word and its exchange another job comes and goes: the number is the same again, and what
//! that job wrote must be seen all the same; by who enters without having waited, and by who was about to wait.

mod explore;
mod memory;

use explore::explore_within;
use freehold_core_on_loom::{Bytes, MemoryPool};
use loom::sync::Arc;
use memory::Memory;

#[test]
fn an_equal_number_is_not_the_same_holder() {
    // Without a bound it passes too, in half a minute.
    explore_within(4, || {
        let pool = Arc::new(MemoryPool::new(Bytes(1)).unwrap());
        let memory = Arc::new(Memory::default());
        let (their_pool, theirs) = (pool.clone(), memory.clone());
        let newcomer = loom::thread::spawn(move || {
            let lease = loom::future::block_on(their_pool.acquire_async(1)).unwrap();
            theirs.write(1);
            drop(lease);
        });
        for _ in 0..2 {
            let Ok(_lease) = pool.try_acquire(1) else { break };
            memory.write(2);
        }
        newcomer.join().unwrap();
    });
}
