//! Larson's benchmark: blocks are freed by other threads than those that allocated them.
//!
//! Twice as many bags as threads go round. A thread takes a bag, replaces random blocks in it, puts it back at the end of the
//! queue and takes the one at its front, which another thread had last. The queue's lock is paid once in 256 replacements.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::Mutex;

use super::Work;
use crate::contender::Allocator;
use crate::random::{Random, Sizes};

const BLOCKS_A_BAG: usize = 256;
const TURNS_A_BAG: u64 = 256;

type Bag<B> = Vec<Option<B>>;

/// One thread at the bags.
#[derive(Debug)]
pub struct Larson<B> {
    bags: Arc<Mutex<VecDeque<Bag<B>>>>,
    script: Vec<u64>,
    at: usize,
    random: Random,
}

impl<B> Larson<B> {
    /// So many threads at one queue.
    pub fn crowd(threads: usize, sizes: Sizes) -> Vec<Larson<B>> {
        let bags = Arc::new(Mutex::new(VecDeque::new()));
        let one = |thread| {
            let mut random = Random::new(thread as u64);
            Larson { bags: bags.clone(), script: sizes.script(&mut random), at: 0, random }
        };
        (0..threads).map(one).collect()
    }

    fn next_bytes(&mut self) -> u64 {
        self.at = (self.at + 1) & (self.script.len() - 1);
        self.script[self.at]
    }
}

impl<B: Send> Work<B> for Larson<B> {
    fn prepare(&mut self, seat: &mut impl Allocator<Block = B>) {
        for _ in 0..2 {
            let bag = (0..BLOCKS_A_BAG).map(|_| seat.allocate(self.next_bytes())).collect();
            self.bags.lock().push_back(bag);
        }
    }

    fn run(&mut self, seat: &mut impl Allocator<Block = B>, mut pairs: u64) -> u64 {
        let mut refused = 0;
        while pairs > 0 {
            let mut bag = self.bags.lock().pop_front().expect("more bags than threads");
            let turns = pairs.min(TURNS_A_BAG);
            for _ in 0..turns {
                let place = &mut bag[self.random.below(BLOCKS_A_BAG)];
                if let Some(block) = place.take() {
                    seat.free(block);
                }
                *place = seat.allocate(self.next_bytes());
                refused += u64::from(place.is_none());
            }
            self.bags.lock().push_back(bag);
            pairs -= turns;
        }
        refused
    }
}
