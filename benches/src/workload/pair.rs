//! One size again and again: allocate, free, allocate, free.
//!
//! *Cold*: the arena is empty, and every free could make it one hole again. *Warm*: the arena has 256 holes of this very size,
//! between blocks that stay.

use std::hint::black_box;

use super::Work;
use crate::contender::Allocator;

const HOLES: usize = 256;

/// Pairs of one size.
#[derive(Debug)]
pub struct Pair<B> {
    bytes: u64,
    warm: bool,
    held: Vec<B>,
}

impl<B> Pair<B> {
    /// Pairs of `bytes` bytes.
    pub fn new(bytes: u64, warm: bool) -> Pair<B> {
        Pair { bytes, warm, held: Vec::new() }
    }
}

impl<B: Send> Work<B> for Pair<B> {
    fn prepare(&mut self, seat: &mut impl Allocator<Block = B>) {
        if !self.warm {
            return;
        }
        let row: Vec<B> = (0..2 * HOLES).map_while(|_| seat.allocate(self.bytes)).collect();
        for (index, block) in row.into_iter().enumerate() {
            if index % 2 == 0 { self.held.push(block) } else { seat.free(block) }
        }
    }

    fn run(&mut self, seat: &mut impl Allocator<Block = B>, pairs: u64) -> u64 {
        let mut refused = 0;
        for _ in 0..pairs {
            match seat.allocate(black_box(self.bytes)) {
                Some(block) => seat.free(black_box(block)),
                None => refused += 1,
            }
        }
        refused
    }
}
