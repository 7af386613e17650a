//! The buddy and its naive twin (one flag a granule) go through the same random operations and agree on everything: what
//! is granted lies on free granules, what is refused fits nowhere, and after each operation the holes are the same.
//!
//! Not covered: more than one thread (see `buddy_hands_out_no_granule_twice`), and where a block is placed.

use freehold_core::{AllocateError, Block, Buddy, Bytes, FreeError, Geometry, Offset, Request};
use freehold_tests::buddy_twin::Twin;
use proptest::prelude::*;

const GRANULE: u64 = 8;

#[derive(Clone, Debug)]
enum Step {
    Allocate { bytes: u64, align: u64 },
    Free { victim: usize },
    FreeTwice { victim: usize },
    TakeAt { start: u64, bytes: u64 },
}

struct Pair {
    buddy: Buddy,
    twin: Twin,
    live: Vec<Block>,
}

impl Pair {
    fn new(granules: u64) -> Pair {
        let buddy = Buddy::new(Geometry::new(Bytes(granules * GRANULE), Bytes(GRANULE)).unwrap());
        Pair { buddy, twin: Twin::new(granules as usize), live: Vec::new() }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Allocate { bytes, align } => self.allocate(bytes, align),
            Step::Free { victim } => self.free(victim),
            Step::FreeTwice { victim } => self.free_twice(victim),
            Step::TakeAt { start, bytes } => self.take_at(start, bytes),
        }
        self.compare();
    }

    fn allocate(&mut self, bytes: u64, align: u64) {
        let (count, steps) = (bytes.div_ceil(GRANULE) as usize, (align / GRANULE).max(1) as usize);
        match self.buddy.allocate(0, Request::new(Bytes(bytes)).aligned(Bytes(align))) {
            Ok(block) => {
                assert_eq!((block.bytes(), block.offset().get() % align), (Bytes(bytes), 0));
                self.twin.take((block.offset().get() / GRANULE) as usize, count);
                self.live.push(block);
            }
            Err(AllocateError::Full { requested, free, largest_hole, in_flight }) => {
                assert!(!self.twin.fits(count, steps), "{count} granules at multiples of {steps} would fit");
                assert_eq!((requested, in_flight), (Bytes(bytes), false));
                assert_eq!(free.get() / GRANULE, self.twin.free_granules() as u64);
                let longest = self.twin.holes().iter().map(|hole| hole.1).max().unwrap_or(0);
                assert!(largest_hole.get() / GRANULE <= longest as u64 && (steps > 1 || largest_hole < requested));
            }
            Err(AllocateError::TooLarge { capacity, .. }) => assert!(bytes > capacity.get()),
            Err(other) => panic!("{other}"),
        }
    }

    fn free(&mut self, victim: usize) {
        if self.live.is_empty() {
            return;
        }
        let block = self.live.swap_remove(victim % self.live.len());
        self.twin.free((block.offset().get() / GRANULE) as usize, block.bytes().get().div_ceil(GRANULE) as usize);
        self.buddy.free(0, block);
    }

    fn free_twice(&mut self, victim: usize) {
        if self.live.is_empty() {
            return;
        }
        let victim = victim % self.live.len();
        let again = Block::from_parts(self.live[victim].offset(), self.live[victim].bytes());
        self.free(victim);
        assert!(matches!(self.buddy.try_free(0, again), Err(FreeError::AlreadyFree(_))));
    }

    fn take_at(&mut self, start: u64, bytes: u64) {
        let (first, count) = (start as usize, bytes.div_ceil(GRANULE) as usize);
        let taken = self.buddy.take(0, Offset(start * GRANULE), Bytes(bytes));
        assert_eq!(taken.is_some(), self.twin.is_free(first, count), "{bytes} bytes at granule {start}");
        if let Some(block) = taken {
            self.twin.take(first, count);
            self.live.push(block);
        }
    }

    fn compare(&self) {
        let mut holes = Vec::new();
        self.buddy
            .holes(|offset, bytes| holes.push(((offset.get() / GRANULE) as usize, (bytes.get() / GRANULE) as usize)));
        assert_eq!(holes, self.twin.holes());
        let audit = self.buddy.audit().unwrap();
        assert_eq!(audit.free.get() / GRANULE, self.twin.free_granules() as u64);
        assert_eq!(audit.holes, holes.len() as u64);
    }

    /// Everything comes back, and the arena is one hole again.
    fn end(mut self) {
        while !self.live.is_empty() {
            self.free(0);
        }
        let whole = self.buddy.allocate(0, Request::new(self.buddy.capacity())).unwrap();
        assert_eq!(whole.bytes(), self.buddy.capacity());
    }
}

fn steps(granules: u64) -> impl Strategy<Value = Step> {
    let most = granules * GRANULE;
    // Sizes spread over all magnitudes, some larger than the arena.
    let bytes = move || (1..=most.ilog2() + 1, any::<u64>()).prop_map(|(bits, pick)| 1 + pick % (1 << bits));
    let align = || (0..9u32).prop_map(|shift| 1u64 << shift);
    prop_oneof![
        5 => (bytes(), align()).prop_map(|(bytes, align)| Step::Allocate { bytes, align }),
        4 => any::<usize>().prop_map(|victim| Step::Free { victim }),
        1 => any::<usize>().prop_map(|victim| Step::FreeTwice { victim }),
        1 => (0..granules, bytes()).prop_map(|(start, bytes)| Step::TakeAt { start, bytes }),
    ]
}

fn sequences() -> impl Strategy<Value = (u64, Vec<Step>)> {
    let arenas = prop_oneof![1u64..200, Just(64), Just(4096), 4000u64..9000, Just(64 * 64 * 3 + 65)];
    arenas.prop_flat_map(|granules| (Just(granules), prop::collection::vec(steps(granules), 1..120)))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_buddy_agrees_with_its_naive_twin((granules, steps) in sequences()) {
        let mut pair = Pair::new(granules);
        for step in steps {
            pair.step(step);
        }
        pair.end();
    }
}
