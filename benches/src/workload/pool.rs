//! A live set at a given occupancy, replaced at random: the steady state of an arena in use.
//!
//! One step draws a size, frees random blocks until it fits under the occupancy, and allocates it. So there are as many frees
//! as allocations, and the occupancy stays within one block of what was asked. Who refuses keeps one block less.

use super::Work;
use crate::contender::Allocator;
use crate::random::{Random, Sizes};

/// A live set and what it may weigh.
#[derive(Debug)]
pub struct Pool<B> {
    limit: u64,
    live_bytes: u64,
    live: Vec<(u64, B)>,
    script: Vec<u64>,
    at: usize,
    random: Random,
}

impl<B> Pool<B> {
    /// A live set of at most `limit` bytes; `thread` tells the sequences of several threads apart.
    pub fn new(limit: u64, sizes: Sizes, thread: usize) -> Pool<B> {
        let mut random = Random::new(thread as u64);
        let script = sizes.script(&mut random);
        Pool { limit, live_bytes: 0, live: Vec::with_capacity(1 << 16), script, at: 0, random }
    }

    /// Draws the next size, and makes room for it by freeing at random.
    #[inline]
    pub(super) fn make_room(&mut self, seat: &mut impl Allocator<Block = B>) -> u64 {
        self.at = (self.at + 1) & (self.script.len() - 1);
        let bytes = self.script[self.at];
        while self.live_bytes + bytes > self.limit && self.free_one(seat) {}
        bytes
    }

    /// Frees one at random. False when nothing is held.
    #[inline]
    pub(super) fn free_one(&mut self, seat: &mut impl Allocator<Block = B>) -> bool {
        if self.live.is_empty() {
            return false;
        }
        let (bytes, block) = self.live.swap_remove(self.random.below(self.live.len()));
        self.live_bytes -= bytes;
        seat.free(block);
        true
    }

    /// Keeps what was allocated; a refusal costs a block, so that the arena empties where it refuses too much.
    #[inline]
    pub(super) fn keep(&mut self, bytes: u64, block: Option<B>, seat: &mut impl Allocator<Block = B>) -> bool {
        let Some(block) = block else {
            self.free_one(seat);
            return false;
        };
        self.live_bytes += bytes;
        self.live.push((bytes, block));
        true
    }
}

impl<B: Send> Work<B> for Pool<B> {
    /// Fills, and then goes on until the places are as random as they will be.
    fn prepare(&mut self, seat: &mut impl Allocator<Block = B>) {
        while self.live_bytes + self.script[(self.at + 1) & (self.script.len() - 1)] <= self.limit {
            let bytes = self.make_room(seat);
            let block = seat.allocate(bytes);
            if !self.keep(bytes, block, seat) {
                break;
            }
        }
        self.run(seat, 4 * self.live.len() as u64);
    }

    fn run(&mut self, seat: &mut impl Allocator<Block = B>, pairs: u64) -> u64 {
        let mut refused = 0;
        for _ in 0..pairs {
            let bytes = self.make_room(seat);
            let block = seat.allocate(bytes);
            refused += u64::from(!self.keep(bytes, block, seat));
        }
        refused
    }
}
