//! Threads allocate and free at random while a shadow map, one owner a granule, watches: no granule has two owners, and
//! none is lost: at the end the whole arena can be had as one block.
//!
//! `FREEHOLD_STRESS_OPS` sets the number of operations in all (default 400,000), `FREEHOLD_STRESS_SEED` the seed. Repeat a
//! failure with `FREEHOLD_STRESS_SEED=<seed> cargo test --release --test buddy_hands_out_no_granule_twice`.
//! Not covered: schedules that the machine does not happen to choose; the loom models cover the small ones to the end.

use std::sync::atomic::{AtomicU32, Ordering};

use freehold_core::{AllocateError, Block, Buddy, Bytes, Geometry, Request, Slot};

const GRANULE: u64 = 512;

fn from_env(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
}

/// xorshift64*: one seed, one sequence.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.next() >> 11) % bound
    }
}

struct World {
    buddy: Buddy,
    owners: Vec<AtomicU32>,
}

impl World {
    fn new(granules: u64) -> World {
        let buddy = Buddy::new(Geometry::new(Bytes(granules * GRANULE), Bytes(GRANULE)).unwrap());
        World { buddy, owners: (0..granules).map(|_| AtomicU32::new(0)).collect() }
    }

    fn granules(&self, block: &Block) -> &[AtomicU32] {
        let start = (block.offset().get() / GRANULE) as usize;
        &self.owners[start..start + (self.buddy.geometry().reserved(block.bytes()).get() / GRANULE) as usize]
    }

    fn own(&self, block: &Block, owner: u32) {
        for granule in self.granules(block) {
            assert_eq!(granule.swap(owner, Ordering::Relaxed), 0, "{block:?} overlaps");
        }
    }

    fn disown(&self, block: &Block, owner: u32) {
        for granule in self.granules(block) {
            assert_eq!(granule.swap(0, Ordering::Relaxed), owner, "{block:?} was overlapped");
        }
    }

    /// Sizes log-uniform up to 4096 granules, so that runs span words; a refusal is answered by a free.
    fn run(&self, owner: u32, operations: u64, seed: u64) -> u64 {
        let mut random = Random(seed ^ (u64::from(owner) << 32) | 1);
        let (mut live, mut refused): (Vec<Block>, u64) = (Vec::new(), 0);
        for _ in 0..operations {
            let allocate = live.is_empty() || random.below(100) < 55;
            // Some operations have a slot of their own, the others go through whatever is free.
            let mut slot = if random.below(2) == 0 { self.buddy.slot(owner as usize) } else { None };
            if allocate {
                let magnitude = random.below(13);
                let bytes = 1 + random.below(GRANULE << magnitude);
                match allocate_through(&self.buddy, &mut slot, owner, bytes) {
                    Ok(block) => {
                        self.own(&block, owner);
                        live.push(block);
                        continue;
                    }
                    Err(AllocateError::Full { .. }) => refused += 1,
                    Err(other) => panic!("{other}"),
                }
            }
            if !live.is_empty() {
                let block = live.swap_remove(random.below(live.len() as u64) as usize);
                self.disown(&block, owner);
                match &mut slot {
                    Some(slot) => slot.free(block),
                    None => self.buddy.free(owner as usize, block),
                }
            }
        }
        for block in live {
            self.disown(&block, owner);
            self.buddy.free(owner as usize, block);
        }
        refused
    }
}

fn allocate_through(
    buddy: &Buddy,
    slot: &mut Option<Slot<'_>>,
    owner: u32,
    bytes: u64,
) -> Result<Block, AllocateError> {
    let request = Request::new(Bytes(bytes));
    match slot {
        Some(slot) => slot.allocate(request),
        None => buddy.allocate(owner as usize, request),
    }
}

fn stress(granules: u64, threads: u32) {
    let seed = from_env("FREEHOLD_STRESS_SEED", 0x5EED);
    let operations = from_env("FREEHOLD_STRESS_OPS", 400_000) / u64::from(threads);
    println!("seed {seed}: {granules} granules, {threads} threads, {operations} operations each");
    let world = &World::new(granules);
    let refused: u64 = std::thread::scope(|scope| {
        let run = |owner| scope.spawn(move || world.run(owner, operations, seed));
        let runs: Vec<_> = (1..=threads).map(run).collect();
        runs.into_iter().map(|run| run.join().unwrap()).sum()
    });
    let audit = world.buddy.audit().unwrap();
    assert_eq!((audit.free, audit.holes), (world.buddy.capacity(), 1), "after {refused} refusals");
    assert!(refused > 0, "the arena was never full: the test tests too little");
    let whole = world.buddy.allocate(0, Request::new(world.buddy.capacity())).unwrap();
    assert_eq!(whole.bytes(), world.buddy.capacity());
}

#[test]
fn four_threads_in_a_tight_arena_with_a_tail() {
    stress(64 * 200 + 37, 4);
}

#[test]
fn two_threads_in_three_levels() {
    stress(64 * 64 * 9, 2);
}
