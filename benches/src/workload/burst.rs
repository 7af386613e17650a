//! A few hundred allocations, then all of them back: what a request of an inference engine looks like to its arena.

use super::Work;
use crate::contender::Allocator;
use crate::random::{Random, Sizes};

/// Bursts of so many blocks.
#[derive(Debug)]
pub struct Burst<B> {
    blocks: usize,
    script: Vec<u64>,
    at: usize,
    held: Vec<B>,
}

impl<B> Burst<B> {
    /// Bursts of `blocks` blocks.
    pub fn new(blocks: usize, sizes: Sizes) -> Burst<B> {
        Burst { blocks, script: sizes.script(&mut Random::new(7)), at: 0, held: Vec::with_capacity(blocks) }
    }

    fn burst(&mut self, seat: &mut impl Allocator<Block = B>, blocks: usize) {
        for _ in 0..blocks {
            self.at = (self.at + 1) & (self.script.len() - 1);
            self.held.extend(seat.allocate(self.script[self.at]));
        }
    }
}

impl<B: Send> Work<B> for Burst<B> {
    fn prepare(&mut self, _: &mut impl Allocator<Block = B>) {}

    fn run(&mut self, seat: &mut impl Allocator<Block = B>, mut pairs: u64) -> u64 {
        let mut refused = 0;
        while pairs > 0 {
            let blocks = self.blocks.min(pairs as usize);
            self.burst(seat, blocks);
            refused += (blocks - self.held.len()) as u64;
            self.held.drain(..).for_each(|block| seat.free(block));
            pairs -= blocks as u64;
        }
        refused
    }
}
