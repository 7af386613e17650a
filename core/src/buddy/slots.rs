//! All slots of a buddy: whoever comes takes one that is free, or shares the last; and what the verdict and the books ask of
//! all of them at once.

use alloc::boxed::Box;

use super::desk::{Desk, SlotState};

/// All slots of a buddy.
#[derive(Debug)]
pub(super) struct Slots {
    owned: Box<[SlotState]>,
    shared: SlotState,
}

/// What all slots but the caller's own have seen, the one for everybody always among them: changes completed, sections open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Changes {
    pub(super) completed: u64,
    pub(super) open: u64,
}

/// How many slots are tried before the shared one is taken.
const TRIES: usize = 4;

impl Slots {
    pub(super) fn new(count: usize) -> Slots {
        Slots { owned: (0..count).map(|_| SlotState::new(true)).collect(), shared: SlotState::new(false) }
    }

    /// A slot of its own for the caller: the one that `hint` names, or one of the next few.
    pub(super) fn own(&self, hint: usize) -> Option<Desk<'_>> {
        (0..TRIES.min(self.owned.len()))
            .find_map(|step| self.owned[hint.wrapping_add(step) % self.owned.len()].acquire())
    }

    /// A slot of its own, or the one for everybody.
    pub(super) fn any(&self, hint: usize) -> Desk<'_> {
        self.own(hint).unwrap_or_else(|| self.everybodys())
    }

    /// The one for everybody.
    pub(super) fn everybodys(&self) -> Desk<'_> {
        Desk::of(&self.shared)
    }

    /// What they occupy.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.owned)
    }

    /// Granules freed less granules allocated, wrapping.
    pub(super) fn balance(&self) -> u64 {
        self.all().fold(0, |sum, slot| sum.wrapping_add(slot.balance()))
    }

    /// One collect of all sequences but that of the caller's own slot. Changes only grow, and no section is left without one:
    /// so two collects with equal sums saw equal counts.
    pub(super) fn changes(&self, except: Desk<'_>) -> Changes {
        let others = self.all().filter(|slot| !except.is_own(slot));
        others.map(SlotState::sequence).fold(Changes { completed: 0, open: 0 }, |sum, slot| Changes {
            completed: sum.completed + slot.completed(),
            open: sum.open + slot.open(),
        })
    }

    fn all(&self) -> impl Iterator<Item = &SlotState> {
        self.owned.iter().chain([&self.shared])
    }
}
