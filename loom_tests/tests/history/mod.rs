//! Histories of two threads at one buddy: what each did, what it was answered, and what of the other it could see; and whether
//! one order of it all satisfies the naive twin (linearisability, Herlihy and Wing 1990).
#![allow(unreachable_pub, dead_code)] // The model uses its part, and of the twin what it needs.

#[path = "../../../tests/src/buddy_twin.rs"]
mod buddy_twin;

use buddy_twin::Twin;
use freehold_core_on_loom::{AllocateError, Block, Buddy, Bytes, Geometry, Offset, Request};
use loom::sync::Arc;
use loom::sync::atomic::AtomicUsize;
use loom::sync::atomic::Ordering::{Acquire, Release};

/// What a thread is to do.
#[derive(Clone, Copy, Debug)]
pub enum Do {
    Allocate(u64),
    /// The block that it has had for longest, if it has one.
    Free,
}

/// One step of a history.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// How many operations of the other thread were over when this one began: those it could see.
    saw: usize,
    /// Whether its operation is over with it.
    last: bool,
    what: What,
}

#[derive(Clone, Copy, Debug)]
enum What {
    Took(usize, usize),
    Freed(usize, usize),
    /// "Full", exactly.
    Full(usize),
    /// "Full, in flight": it knows of no moment at which nothing was long enough.
    Unsure,
}

/// An arena and how much of its history each thread has published.
pub struct World {
    buddy: Buddy,
    over: [AtomicUsize; 2],
}

/// One thread: what it holds, and what it did.
#[derive(Default)]
pub struct Party {
    held: Vec<Block>,
    history: Vec<Step>,
}

/// An arena as drawn, a letter a granule: free (`.`), held by nobody (`#`), by the one thread (`a`) or by the other (`b`).
pub fn arrange(picture: &str) -> (Arc<World>, [Party; 2]) {
    let buddy = Buddy::with_slots(Geometry::new(Bytes(picture.len() as u64), Bytes(1)).unwrap(), 2);
    let mut parties = [Party::default(), Party::default()];
    let mut start = 0;
    for run in picture.as_bytes().chunk_by(|one, next| one == next) {
        let take = || buddy.take(0, Offset(start), Bytes(run.len() as u64)).unwrap();
        match run[0] {
            b'.' => {}
            letter @ (b'a' | b'b') => parties[usize::from(letter - b'a')].held.push(take()),
            _ => _ = take(),
        }
        start += run.len() as u64;
    }
    (Arc::new(World { buddy, over: [AtomicUsize::new(0), AtomicUsize::new(0)] }), parties)
}

impl Party {
    /// Does what the script says, through a slot of its own.
    pub fn run(mut self, world: &World, me: usize, script: &[Do]) -> Vec<Step> {
        let mut slot = world.buddy.slot(me).unwrap();
        for what in script {
            let saw = world.over[1 - me].load(Acquire);
            match *what {
                Do::Free if self.held.is_empty() => {}
                Do::Free => {
                    let block = self.held.remove(0);
                    self.freed(saw, block.offset().get() as usize, block.bytes().get() as usize);
                    slot.free(block);
                }
                Do::Allocate(count) => {
                    let answer = slot.allocate(Request::new(Bytes(count)));
                    self.allocated(saw, count as usize, answer);
                }
            }
            world.over[me].store(self.history.iter().filter(|step| step.last).count(), Release);
        }
        self.history
    }

    fn allocated(&mut self, saw: usize, count: usize, answer: Result<Block, AllocateError>) {
        let what = match answer {
            Ok(block) => {
                let start = block.offset().get() as usize;
                self.held.push(block);
                What::Took(start, count)
            }
            Err(AllocateError::Full { in_flight: true, .. }) => What::Unsure,
            Err(refusal) => {
                assert!(matches!(refusal, AllocateError::Full { .. }), "{refusal}");
                What::Full(count)
            }
        };
        self.history.push(Step { saw, last: true, what });
    }

    /// A free is one step where it lies in one word (of 4 granules, under loom), and otherwise one a word, in ascending order.
    fn freed(&mut self, saw: usize, start: usize, count: usize) {
        let end = start + count;
        let mut at = start;
        while at < end {
            let next = ((at / 4 + 1) * 4).min(end);
            self.history.push(Step { saw, last: next == end, what: What::Freed(at, next - at) });
            at = next;
        }
    }
}

/// Whether some order of these histories, in which nothing comes before what it saw, is one that the twin answers likewise.
pub fn explained(picture: &str, histories: [&[Step]; 2]) -> bool {
    let mut twin = Twin::new(picture.len());
    for (granule, _) in picture.bytes().enumerate().filter(|(_, letter)| *letter != b'.') {
        twin.take(granule, 1);
    }
    in_some_order(&twin, histories, [0, 0])
}

fn in_some_order(twin: &Twin, left: [&[Step]; 2], over: [usize; 2]) -> bool {
    left.iter().all(|steps| steps.is_empty())
        || (0..2).any(|thread| {
            let Some((step, rest)) = left[thread].split_first() else { return false };
            let mut twin = twin.clone();
            if step.saw > over[1 - thread] || !step.what.answers(&mut twin) {
                return false;
            }
            let (mut left, mut over) = (left, over);
            left[thread] = rest;
            over[thread] += usize::from(step.last);
            in_some_order(&twin, left, over)
        })
}

impl What {
    /// Does it to the twin, if the twin would answer so.
    fn answers(self, twin: &mut Twin) -> bool {
        match self {
            What::Took(start, count) => {
                let free = twin.is_free(start, count);
                if free {
                    twin.take(start, count);
                }
                free
            }
            What::Freed(start, count) => {
                twin.free(start, count);
                true
            }
            What::Full(count) => !twin.fits(count, 1),
            What::Unsure => true,
        }
    }
}

#[test]
fn a_history_that_no_order_explains_is_seen() {
    let step = |saw, what| Step { saw, last: true, what };
    let explained = |one: &[Step], other: &[Step]| explained("a.", [one, other]);
    let (freed, took) = (step(0, What::Freed(0, 1)), |saw, at| step(saw, What::Took(at, 1)));
    assert!(explained(&[freed, took(0, 0)], &[took(0, 1)]), "both granules, one each");
    assert!(!explained(&[freed, took(0, 1)], &[took(0, 1)]), "two owners");
    assert!(explained(&[freed], &[step(0, What::Full(2))]), "full before the free");
    assert!(!explained(&[freed], &[step(1, What::Full(2))]), "full after a free that it saw");
    assert!(explained(&[freed], &[step(1, What::Unsure)]));
    assert!(!explained(&[], &[took(0, 0)]), "a granule that was never free");
}
