//! The states of one entry, as values: what may follow what, decided without touching memory.
//!
//! ```text
//!            begin_materialise        finish_materialise(pins)          begin_evict (no pins)
//!   ABSENT ------------------> MATERIALISING ------------> RESIDENT ------------------------> EVICTING
//!     ^ ^                            |                      | ^  ^                             |    |
//!     | |      fail_materialise      |            pin/unpin | |  |        cancel_evict         |    |
//!     | +----------------------------+                      +-+  +-----------------------------+    |
//!     |                                     finish_evict                                            |
//!     +---------------------------------------------------------------------------------------------+
//!
//!   release, in any state, sets the RELEASED flag. Then the first moment that is ABSENT, or RESIDENT with no pins, becomes
//!   RELEASED, the last state (`settle`); whoever makes it out of RESIDENT has the memory to free.
//!
//!   bit   63 ........ 8 | 7 6 | 5     | 4      | 3        | 2 1 0
//!         pins          |  -  | DIRTY | WANTED | RELEASED | residency
//! ```
//!
//! R1. Pins are counted in RESIDENT only: every other state has none.
//! R2. MATERIALISING and EVICTING belong to the one thread that made the transition into them; only it makes the one out.
//! R3. While RELEASED is set no new pin is given and nothing new begins, so what settles stays settled.

use core::fmt;

use super::outcome::Duty;

/// Where the bytes of an entry are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Residency {
    /// Nowhere on the device: the entry has no memory.
    Absent,
    /// One thread is bringing them; nobody else may read or begin anything.
    Materialising,
    /// On the device; may be pinned.
    Resident,
    /// One thread is taking them away, or moving them; nobody else may read or begin anything.
    Evicting,
    /// Gone for good: the owner has let go, and the memory is freed or about to be.
    Released,
}

/// One value of a [`ResidencyWord`](super::ResidencyWord): the residency, its flags and the number of pins.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct State(u64);

const RESIDENCY: u64 = 0b111;
const RELEASED: u64 = 1 << 3;
const WANTED: u64 = 1 << 4;
/// Set and cleared by operations that touch nothing else.
pub(super) const DIRTY: u64 = 1 << 5;
/// Added by `pin`, and subtracted by the one operation that does so without looking first.
pub(super) const ONE_PIN: u64 = 1 << 8;
const _: () = assert!(RESIDENCY < RELEASED && DIRTY < ONE_PIN, "the flags stand between the residency and the pins");

impl State {
    /// A new entry: no memory, no flags, no pins.
    pub const ABSENT: State = State(Residency::Absent as u64);

    #[inline]
    pub(super) const fn from_bits(bits: u64) -> State {
        State(bits)
    }

    #[inline]
    pub(super) const fn to_bits(self) -> u64 {
        self.0
    }

    /// Where the bytes are.
    #[must_use]
    #[inline]
    pub const fn residency(self) -> Residency {
        match self.0 & RESIDENCY {
            0 => Residency::Absent,
            1 => Residency::Materialising,
            2 => Residency::Resident,
            3 => Residency::Evicting,
            _ => Residency::Released,
        }
    }

    /// How many pins forbid eviction. They nest (B7), and 56 bits of them do not run out.
    #[must_use]
    #[inline]
    pub const fn pins(self) -> u64 {
        self.0 / ONE_PIN
    }

    /// Whether the owner has let go, whatever is still to be finished.
    #[must_use]
    #[inline]
    pub const fn is_released(self) -> bool {
        self.has(RELEASED)
    }

    /// Whether somebody waits to be woken by the next transition.
    #[must_use]
    #[inline]
    pub const fn is_wanted(self) -> bool {
        self.has(WANTED)
    }

    /// Whether the bytes on the device were written and the backing source has not got them (C11).
    #[must_use]
    #[inline]
    pub const fn is_dirty(self) -> bool {
        self.has(DIRTY)
    }

    /// Whether an eviction could begin: resident, nobody using it, its owner still there.
    #[must_use]
    #[inline]
    pub const fn is_evictable(self) -> bool {
        matches!(self.residency(), Residency::Resident) && self.pins() == 0 && !self.is_released()
    }

    /// Whether one thread has the entry to itself, to bring the bytes or to take them away (R2).
    #[must_use]
    #[inline]
    pub const fn is_busy(self) -> bool {
        matches!(self.residency(), Residency::Materialising | Residency::Evicting)
    }

    #[inline]
    const fn has(self, flag: u64) -> bool {
        self.0 & flag != 0
    }

    /// The same flags in another residency, with no pins (R1).
    const fn becoming(self, residency: Residency) -> State {
        State(self.0 & (RELEASED | WANTED | DIRTY) | residency as u64)
    }

    fn when(self, allowed: bool) -> Option<State> {
        allowed.then_some(self)
    }
}

/// The transitions. `None`: not from here.
impl State {
    #[inline]
    pub(super) fn pin(self) -> Option<State> {
        let pinnable = matches!(self.residency(), Residency::Resident) && !self.is_released();
        pinnable.then(|| State(self.0.checked_add(ONE_PIN).expect("an entry has fewer than 2^56 pins")))
    }

    pub(super) fn begin_materialise(self) -> Option<State> {
        let absent = matches!(self.residency(), Residency::Absent) && !self.is_released();
        self.becoming(Residency::Materialising).when(absent)
    }

    pub(super) fn finish_materialise(self, pins: u32) -> Option<State> {
        let resident = State(self.becoming(Residency::Resident).0 + u64::from(pins) * ONE_PIN);
        resident.when(matches!(self.residency(), Residency::Materialising))
    }

    pub(super) fn fail_materialise(self) -> Option<State> {
        self.becoming(Residency::Absent).when(matches!(self.residency(), Residency::Materialising))
    }

    pub(super) fn begin_evict(self) -> Option<State> {
        self.becoming(Residency::Evicting).when(self.is_evictable())
    }

    pub(super) fn finish_evict(self) -> Option<State> {
        let absent = State(self.becoming(Residency::Absent).0 & !DIRTY);
        absent.when(matches!(self.residency(), Residency::Evicting))
    }

    pub(super) fn cancel_evict(self) -> Option<State> {
        self.becoming(Residency::Resident).when(matches!(self.residency(), Residency::Evicting))
    }

    pub(super) fn release(self) -> Option<State> {
        State(self.0 | RELEASED).when(!self.is_released())
    }

    /// What the last unpin leaves to be decided: nothing, if it was not the last after all or another has decided.
    pub(super) fn last_unpin(self) -> Option<State> {
        let undecided = self.is_released() || self.is_wanted();
        self.when(matches!(self.residency(), Residency::Resident) && self.pins() == 0 && undecided)
    }

    pub(super) fn want(self) -> Option<State> {
        State(self.0 | WANTED).when(self.is_busy())
    }

    pub(super) fn want_unpinned(self) -> Option<State> {
        State(self.0 | WANTED).when(self.is_busy() || self.pins() > 0)
    }

    /// The one rule by which an entry ends: released, and nobody using it. Whoever was waiting is to be woken.
    pub(super) fn settle(self) -> (State, Duty) {
        let woken = State(self.0 & !WANTED);
        match (self.residency(), self.is_released(), self.pins()) {
            (Residency::Absent, true, _) => (State(RELEASED).becoming(Residency::Released), Duty::None),
            (Residency::Resident, true, 0) => (State(RELEASED).becoming(Residency::Released), Duty::FreeMemory),
            _ => (woken, Duty::None),
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} with {} pins", self.residency(), self.pins())?;
        for (set, name) in [(self.is_released(), "released"), (self.is_wanted(), "wanted"), (self.is_dirty(), "dirty")]
        {
            if set {
                write!(f, ", {name}")?;
            }
        }
        Ok(())
    }
}
