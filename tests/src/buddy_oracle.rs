//! Any string of bytes is a sequence of operations on a buddy, and the naive twin says of each answer whether it may be.
//!
//! Bytes first: so a fuzzer can bend the sequence as it likes, every input means something, and what it found runs again under
//! `cargo test` without it. The fuzz target (`fuzz/`) and `buddy_answers_as_its_twin_to_any_bytes` are the same [`run`].
//!
//! Watched: every block lies on granules that were free, at its alignment, whole; "full" is said only where nothing fits, never
//! `in_flight` (there is one thread); a range is claimed whole or not at all; freeing a part frees that part; a block freed
//! twice, or foreign, is refused and changes nothing; holes, sums, occupancy and the audit agree with the twin.
//! Not watched: where a block is placed, and more than one thread.

use super::buddy_twin::Twin;
use freehold_core::{AllocateError, Block, Buddy, Bytes, FreeError, Geometry, Offset, Request, Slot};

/// Arenas larger than this are compared with the twin now and then, smaller ones after every operation.
const COMPARED_EACH_TIME: usize = 300;

/// Runs the operations that these bytes say. Gives how many they were.
///
/// # Panics
/// When an answer of the buddy is not its twin's.
pub fn run(bytes: &[u8]) -> usize {
    let mut tape = Tape(bytes);
    let Some((granules, granule, slots)) = shape(&mut tape) else { return 0 };
    let buddy = Buddy::with_slots(Geometry::new(Bytes(granules * granule), Bytes(granule)).expect("a shape"), slots);
    let mut both =
        Both { buddy: &buddy, granule, twin: Twin::new(granules as usize), live: Vec::new(), held: Vec::new() };
    let mut steps = 0;
    while both.step(&mut tape).is_some() {
        steps += 1;
        if granules as usize <= COMPARED_EACH_TIME || steps % 32 == 0 {
            both.compare();
        }
    }
    both.end();
    steps
}

/// What is left to read.
struct Tape<'t>(&'t [u8]);

impl Tape<'_> {
    fn byte(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(u64::from(*first))
    }

    /// Two bytes as a number of any magnitude below 2^16: small ones are as likely as large ones.
    fn number(&mut self) -> Option<u64> {
        let (magnitude, low) = (self.byte()?, self.byte()?);
        Some((magnitude >> 4 << 8 | low) & ((2 << (magnitude & 15)) - 1))
    }
}

/// Granules, bytes of each, slots.
fn shape(tape: &mut Tape<'_>) -> Option<(u64, u64, usize)> {
    let granules = match tape.byte()? {
        size @ 0..160 => size + 1,
        160..192 => 64 * 3 + tape.byte()?,
        192..224 => 64 * 64 - 128 + tape.byte()?,
        _ => 64 * 64 + 16 * tape.byte()? + 1,
    };
    let granule = [1, 8, 512, 24][(tape.byte()? % 4) as usize];
    Some((granules, granule, 1 + (tape.byte()? % 3) as usize))
}

struct Both<'b> {
    buddy: &'b Buddy,
    granule: u64,
    twin: Twin,
    /// Runs that are ours: first granule, and the bytes asked for.
    live: Vec<(u64, u64)>,
    held: Vec<Slot<'b>>,
}

impl<'b> Both<'b> {
    fn step(&mut self, tape: &mut Tape<'_>) -> Option<()> {
        let (op, hint) = (tape.byte()?, tape.byte()? as usize);
        match op {
            0..96 => self.allocate(hint, self.bytes(tape)?, 1),
            96..128 => self.allocate(hint, self.bytes(tape)?, 1 << (tape.byte()? % 14)),
            128..136 => self.allocate(hint, self.bytes(tape)?, self.granule * (tape.byte()? % 8)),
            136..200 => self.free(hint, tape.byte()? as usize, |run| run),
            200..216 => {
                let (from, count) = (tape.number()?, tape.number()?);
                let granule = self.granule;
                self.free(hint, tape.byte()? as usize, |run| part(run, from, count, granule));
            }
            216..224 => self.free_twice(hint, tape.byte()? as usize),
            224..240 => self.take(hint, tape.number()?, self.bytes(tape)?),
            240..244 => self.free_foreign(hint, tape.number()?, tape.number()?),
            244..250 => self.hold(hint),
            250..253 => drop(self.held.pop()),
            _ => self.compare(),
        }
        Some(())
    }

    /// An amount of bytes: whole granules, or a few bytes less.
    fn bytes(&self, tape: &mut Tape<'_>) -> Option<u64> {
        let (granules, less) = (tape.number()?, tape.byte()?);
        Some((granules * self.granule).saturating_sub(less % self.granule.min(16)))
    }

    fn granules(&self, bytes: u64) -> usize {
        bytes.div_ceil(self.granule) as usize
    }

    /// Through a slot that is held, where there is one and the hint is odd; otherwise through any.
    fn through<T>(&mut self, hint: usize, held: impl FnOnce(&mut Slot<'b>) -> T, any: impl FnOnce(&Buddy) -> T) -> T {
        let count = self.held.len();
        match self.held.get_mut(hint / 2 % count.max(1)) {
            Some(slot) if hint % 2 == 1 => held(slot),
            _ => any(self.buddy),
        }
    }

    fn allocate(&mut self, hint: usize, bytes: u64, align: u64) {
        let request = Request::new(Bytes(bytes)).aligned(Bytes(align));
        let answer = self.through(hint, |slot| slot.allocate(request), |buddy| buddy.allocate(hint, request));
        let (count, free) = (self.granules(bytes), self.twin.free_granules() as u64 * self.granule);
        match answer {
            Ok(block) => {
                assert_eq!((block.bytes(), block.offset().get() % align.max(1)), (Bytes(bytes), 0));
                assert_eq!(self.buddy.geometry().reserved(block.bytes()).get(), count as u64 * self.granule);
                self.took(&block);
            }
            Err(AllocateError::ZeroBytes) => assert_eq!(bytes, 0),
            Err(AllocateError::TooLarge { requested, capacity }) => {
                assert_eq!((requested, capacity), (Bytes(bytes), self.buddy.capacity()));
                assert!(requested > capacity);
            }
            Err(AllocateError::Full { requested, free: said, largest_hole, in_flight }) => {
                assert_eq!((requested, said, in_flight), (Bytes(bytes), Bytes(free), false));
                assert!(
                    !self.twin.fits(count, self.steps(align)),
                    "{count} granules at multiples of {align} bytes would fit"
                );
                assert!(largest_hole.get() <= self.longest() * self.granule);
            }
            Err(other) => panic!("{other}"),
        }
    }

    /// Every how many granules a start lies at a multiple of `align` bytes.
    fn steps(&self, align: u64) -> usize {
        (1..).find(|steps| (steps * self.granule).is_multiple_of(align.max(1))).expect("at the latest after `align`")
            as usize
    }

    fn took(&mut self, block: &Block) {
        let (first, bytes) = (block.offset().get() / self.granule, block.bytes().get());
        assert!(block.offset().get().is_multiple_of(self.granule));
        self.twin.take(first as usize, self.granules(bytes));
        self.live.push((first, bytes));
    }

    fn give(&mut self, hint: usize, (first, bytes): (u64, u64)) -> Result<(), FreeError> {
        let block = || Block::from_parts(Offset(first * self.granule), Bytes(bytes));
        let (held, any) = (block(), block());
        self.through(hint, |slot| slot.try_free(held), |buddy| buddy.try_free(hint, any))
    }

    /// Frees the part of one of our runs that `choose` picks; what is left of it at either end stays ours.
    fn free(&mut self, hint: usize, victim: usize, choose: impl FnOnce((u64, u64)) -> (u64, u64)) {
        if self.live.is_empty() {
            return;
        }
        let whole = self.live.swap_remove(victim % self.live.len());
        let freed = choose(whole);
        let (end, freed_end) = (whole.0 + self.granules(whole.1) as u64, freed.0 + self.granules(freed.1) as u64);
        self.live.extend((freed.0 > whole.0).then(|| (whole.0, (freed.0 - whole.0) * self.granule)));
        self.live.extend((end > freed_end).then(|| (freed_end, (end - freed_end) * self.granule)));
        assert_eq!(self.give(hint, freed), Ok(()));
        self.twin.free(freed.0 as usize, (freed_end - freed.0) as usize);
    }

    fn free_twice(&mut self, hint: usize, victim: usize) {
        let Some(&run) = self.live.get(victim % self.live.len().max(1)) else { return };
        self.free(hint, victim, |run| run);
        assert!(matches!(self.give(hint, run), Err(FreeError::AlreadyFree(_))));
    }

    /// A range that begins or ends outside, or between two granules.
    fn free_foreign(&mut self, hint: usize, past: u64, bytes: u64) {
        let capacity = self.buddy.capacity().get();
        let foreign = [
            Block::from_parts(Offset(capacity + past * self.granule), Bytes(bytes + 1)),
            Block::from_parts(Offset(capacity - self.granule), Bytes(self.granule + 1 + bytes)),
        ];
        for block in foreign {
            assert!(matches!(self.buddy.try_free(hint, block), Err(FreeError::NotHere(_))));
        }
        if self.granule > 1 {
            let between = Block::from_parts(Offset(self.granule / 2), Bytes(1));
            assert!(matches!(self.buddy.try_free(hint, between), Err(FreeError::NotHere(_))));
        }
    }

    fn take(&mut self, hint: usize, first: u64, bytes: u64) {
        let (offset, bytes) = (Offset(first * self.granule), Bytes(bytes));
        let answer = self.through(hint, |slot| slot.take(offset, bytes), |buddy| buddy.take(hint, offset, bytes));
        let count = self.granules(bytes.get());
        assert_eq!(
            answer.is_some(),
            count > 0 && self.twin.is_free(first as usize, count),
            "{bytes} at granule {first}"
        );
        if let Some(block) = answer {
            assert_eq!((block.offset(), block.bytes()), (offset, bytes));
            self.took(&block);
        }
    }

    fn hold(&mut self, hint: usize) {
        match self.buddy.slot(hint) {
            Some(slot) => self.held.push(slot),
            None => assert!(!self.held.is_empty(), "no slot has an owner"),
        }
    }

    fn longest(&self) -> u64 {
        self.twin.holes().iter().map(|hole| hole.1 as u64).max().unwrap_or(0)
    }

    fn compare(&mut self) {
        let (mut holes, granule) = (Vec::new(), self.granule);
        self.buddy
            .holes(|offset, bytes| holes.push(((offset.get() / granule) as usize, (bytes.get() / granule) as usize)));
        assert_eq!(holes, self.twin.holes());
        let free = Bytes(self.twin.free_granules() as u64 * granule);
        let audit = self.buddy.audit().expect("the books agree");
        assert_eq!((audit.free, audit.holes, self.buddy.free_bytes()), (free, holes.len() as u64, free));
        assert_eq!(self.buddy.largest_hole().get(), self.longest() * granule);
        let taken: u64 = (0..5).map(|region| self.buddy.occupancy(region, 5).get()).sum();
        assert_eq!(taken, self.buddy.capacity().get() - free.get());
    }

    /// Everything comes back, and the arena is one hole again.
    fn end(mut self) {
        self.compare();
        while !self.live.is_empty() {
            self.free(0, 0, |run| run);
        }
        self.compare();
        self.allocate(0, self.buddy.capacity().get(), 1);
        assert_eq!(self.twin.free_granules(), 0, "one block of the whole arena can be had");
    }
}

/// A part of a run: some granules from one of its granules on, at least one, at most to its end.
fn part((first, bytes): (u64, u64), from: u64, count: u64, granule: u64) -> (u64, u64) {
    let granules = bytes.div_ceil(granule);
    let skip = from % granules;
    let count = 1 + count % (granules - skip);
    let all_of_the_rest = skip + count == granules;
    (first + skip, if all_of_the_rest { bytes - skip * granule } else { count * granule })
}
