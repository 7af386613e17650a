//! A plan of moves, carried out step by step over a shadow of the arena: nothing overlaps, walls stand, the hole opens, and
//! sliding everything would never have been cheaper. The planner of `core::compaction` against a naive check.
//!
//! Not covered here: carrying it out beside other threads (`nobody_sees_a_wrong_byte`).

use freehold_core::compaction::{Layout, Occupant, Plan};
use freehold_core::{Bytes, Offset};
use proptest::prelude::*;

/// One stretch of an arena, in granules, as it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stretch {
    Free(u64),
    Movable { length: u64, align: u64 },
    Wall(u64),
}

/// What a granule of the shadow is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shadow {
    Free,
    /// Claimed by whoever carries the plan out.
    Held,
    Wall,
    Block(usize),
}

#[derive(Debug)]
struct Arena {
    capacity: u64,
    blocks: Vec<Occupant>,
    holes: Vec<(Offset, Bytes)>,
    shadow: Vec<Shadow>,
}

impl Arena {
    fn new(row: &[Stretch]) -> Arena {
        let mut arena = Arena { capacity: 0, blocks: Vec::new(), holes: Vec::new(), shadow: Vec::new() };
        for stretch in row {
            let start = arena.capacity;
            match *stretch {
                Stretch::Free(length) => arena.hole(length),
                Stretch::Wall(length) => arena.block(length, 1, false),
                Stretch::Movable { length, align } => {
                    arena.hole(start.next_multiple_of(align) - start);
                    arena.block(length, align, true);
                }
            }
        }
        arena
    }

    fn hole(&mut self, length: u64) {
        if length > 0 {
            self.holes.push((Offset(self.capacity), Bytes(length)));
            self.extend(length, Shadow::Free);
        }
    }

    fn block(&mut self, length: u64, align: u64, movable: bool) {
        let shadow = if movable { Shadow::Block(self.blocks.len()) } else { Shadow::Wall };
        let (offset, bytes, align) = (Offset(self.capacity), Bytes(length), Bytes(align));
        self.blocks.push(Occupant { offset, bytes, align, movable });
        self.extend(length, shadow);
    }

    fn extend(&mut self, length: u64, shadow: Shadow) {
        self.capacity += length;
        self.shadow.resize(self.capacity as usize, shadow);
    }

    fn layout(&self) -> Layout {
        Layout::new(Bytes(self.capacity), self.blocks.iter().copied(), self.holes.iter().copied())
    }

    /// Free granules, in runs as long as they are.
    fn holes(&self) -> Vec<(Offset, Bytes)> {
        let mut holes: Vec<(Offset, Bytes)> = Vec::new();
        for at in (0..self.capacity).filter(|&at| self.shadow[at as usize] == Shadow::Free) {
            match holes.last_mut() {
                Some((offset, bytes)) if offset.get() + bytes.get() == at => *bytes = *bytes + Bytes(1),
                _ => holes.push((Offset(at), Bytes(1))),
            }
        }
        holes
    }

    fn stretch(&mut self, offset: Offset, bytes: Bytes) -> &mut [Shadow] {
        &mut self.shadow[offset.get() as usize..][..bytes.get() as usize]
    }

    fn change(&mut self, offset: Offset, bytes: Bytes, from: &[Shadow], to: Shadow) {
        let stretch = self.stretch(offset, bytes);
        assert!(stretch.iter().all(|granule| from.contains(granule)), "{stretch:?} at {offset} is none of {from:?}");
        stretch.fill(to);
    }

    fn carry_out(&mut self, plan: &Plan) {
        for &(offset, bytes) in &plan.claims {
            self.change(offset, bytes, &[Shadow::Free], Shadow::Held);
        }
        for step in &plan.moves {
            let block = self.blocks[step.block];
            assert!(block.movable && (block.offset, block.bytes) == (step.from, step.bytes), "{step:?} of {block:?}");
            assert_eq!(step.to.get() % block.align.get(), 0, "{step:?} keeps the alignment of {block:?}");
            let own = Shadow::Block(step.block);
            self.change(step.from, step.bytes, &[own], Shadow::Held);
            self.change(step.to, step.bytes, &[Shadow::Held], own);
            self.blocks[step.block].offset = step.to;
        }
    }

    /// The runs between walls: free granules, and the bytes of the movable blocks behind the first hole.
    fn slides(&self) -> Vec<(u64, u64)> {
        let runs = self.shadow.split(|granule| *granule == Shadow::Wall);
        runs.map(|run| {
            let free = |granule: &Shadow| *granule == Shadow::Free;
            let behind = run.iter().skip_while(|granule| !free(granule));
            (
                run.iter().filter(|granule| free(granule)).count() as u64,
                behind.filter(|granule| !free(granule)).count() as u64,
            )
        })
        .collect()
    }
}

fn row(aligns: &'static [u64]) -> impl Strategy<Value = Vec<Stretch>> {
    let stretch = prop_oneof![
        4 => (1..6_u64).prop_map(Stretch::Free),
        5 => (1..9_u64, prop::sample::select(aligns)).prop_map(|(length, align)| Stretch::Movable { length, align }),
        1 => (1..3_u64).prop_map(Stretch::Wall),
    ];
    prop::collection::vec(stretch, 1..24)
}

fn check(row: &[Stretch], bytes: u64, align: u64, price: u64) -> Option<u64> {
    let mut arena = Arena::new(row);
    let plan = arena.layout().open(Bytes(bytes), Bytes(align), Bytes(price))?;
    arena.carry_out(&plan);
    let (offset, length) = plan.hole;
    assert_eq!((offset.get() % align, length), (0, Bytes(bytes)), "{plan:?}");
    // The hole is in the hands of whoever carried the plan out; and nobody was lost on the way.
    arena.change(offset, length, &[Shadow::Held], Shadow::Free);
    for (number, block) in arena.blocks.clone().iter().enumerate().filter(|(_, block)| block.movable) {
        arena.change(block.offset, block.bytes, &[Shadow::Block(number)], Shadow::Free);
    }
    Some(plan.moved_bytes().get())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    /// Without alignments: a plan exists exactly where some run between walls has the bytes, or blocks can leave a run; and it
    /// never copies more than sliding a whole run together.
    #[test]
    fn plans_open_holes_and_cost_no_more_than_a_slide(row in row(&[1]), bytes in 1..30_u64) {
        let slides = Arena::new(&row).slides();
        let cheapest = slides.iter().filter(|(free, _)| *free >= bytes).map(|(_, cost)| *cost).min();
        let planned = check(&row, bytes, 1, u64::MAX);
        if let Some(cheapest) = cheapest {
            prop_assert!(planned.is_some_and(|cost| cost <= cheapest), "{planned:?} for {cheapest}");
        }
        let all_free: u64 = slides.iter().map(|(free, _)| free).sum();
        prop_assert!(planned.is_none() || all_free >= bytes, "no hole comes out of nothing");
    }

    /// With alignments, of the blocks and of the hole: every plan that is made holds. (Whether one is made where a tight fit of
    /// alignments would allow it is not promised: the manager asks the buddy first, which knows every hole that is there.)
    #[test]
    fn plans_keep_alignments(row in row(&[1, 2, 4, 8]), bytes in 1..30_u64, align in prop::sample::select(&[1_u64, 2, 4, 8, 16])) {
        let planned = check(&row, bytes, align, u64::MAX);
        let all_free: u64 = Arena::new(&row).slides().iter().map(|(free, _)| free).sum();
        prop_assert!(planned.is_none() || all_free >= bytes, "no hole comes out of nothing");
    }

    /// With a price: no plan copies more than it, and one that is worth it is still found.
    #[test]
    fn plans_keep_to_their_price(row in row(&[1]), bytes in 1..30_u64, price in 0..40_u64) {
        let (free_of_price, priced) = (check(&row, bytes, 1, u64::MAX), check(&row, bytes, 1, price));
        prop_assert!(priced.is_none_or(|cost| cost <= price), "{priced:?} for {price}");
        if free_of_price.is_some_and(|cost| cost <= price) {
            prop_assert!(priced.is_some(), "{free_of_price:?} was worth {price}");
        }
    }

    /// A picture out of which blocks were wiped as they left plans as one that is drawn anew.
    #[test]
    fn a_picture_kept_up_to_date_plans_as_a_new_one(
        row in row(&[1, 2, 4]), leave in prop::collection::vec(any::<bool>(), 24), bytes in 1..30_u64, price in 0..60_u64,
    ) {
        let mut arena = Arena::new(&row);
        let mut kept = Layout::new(Bytes(arena.capacity), arena.blocks.iter().copied(), arena.holes());
        let blocks = arena.blocks.len();
        for (number, _) in leave.iter().enumerate().filter(|&(number, leaves)| *leaves && number < blocks) {
            let offset = arena.blocks[number].offset;
            let bytes = std::mem::replace(&mut arena.blocks[number].bytes, Bytes::ZERO);
            arena.stretch(offset, bytes).fill(Shadow::Free);
            prop_assert!(kept.vacate(offset), "block {number} at {offset}");
            prop_assert!(!kept.vacate(offset), "and only once");
        }
        let drawn = Layout::new(Bytes(arena.capacity), arena.blocks.iter().copied(), arena.holes());
        prop_assert_eq!(kept.free_bytes(), drawn.free_bytes());
        let [kept, drawn] = [kept, drawn].map(|layout| layout.open(Bytes(bytes), Bytes(1), Bytes(price)));
        prop_assert_eq!(kept, drawn);
    }
}
