//! The naive residency word: a struct with plain fields, and the rules of the drawing written out as one would say them.

use freehold_core::table::{Duty, FollowUp, Pin, Residency, Want};

/// The state of one entry, one field a fact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ResidencyTwin {
    /// Where the bytes are.
    pub residency: Residency,
    /// The owner has let go.
    pub released: bool,
    /// Somebody waits.
    pub wanted: bool,
    /// The bytes were written.
    pub dirty: bool,
    /// Pins given and not given back.
    pub pins: u64,
}

impl Default for ResidencyTwin {
    fn default() -> Self {
        ResidencyTwin { residency: Residency::Absent, released: false, wanted: false, dirty: false, pins: 0 }
    }
}

impl ResidencyTwin {
    fn busy(&self) -> bool {
        self.residency == Residency::Materialising || self.residency == Residency::Evicting
    }

    /// A pin, if the bytes are there and the owner too.
    pub fn try_pin(&mut self) -> Pin {
        if self.released {
            return Pin::Released;
        }
        match self.residency {
            Residency::Absent => Pin::Absent,
            Residency::Resident => {
                self.pins += 1;
                Pin::Pinned
            }
            busy => Pin::Busy(busy),
        }
    }

    /// Gives one back; only the last concerns anybody.
    pub fn unpin(&mut self) -> FollowUp {
        self.pins -= 1;
        if self.pins == 0 { self.settle() } else { FollowUp { duty: Duty::None, wake: false } }
    }

    /// Whether a materialisation could begin; it has, then.
    pub fn begin_materialise(&mut self) -> bool {
        let won = self.residency == Residency::Absent && !self.released;
        if won {
            self.residency = Residency::Materialising;
        }
        won
    }

    /// Whether an eviction could begin; it has, then.
    pub fn begin_evict(&mut self) -> bool {
        let won = self.residency == Residency::Resident && self.pins == 0 && !self.released;
        if won {
            self.residency = Residency::Evicting;
        }
        won
    }

    /// The thread at work leaves the entry resident with some pins, or absent.
    pub fn end(&mut self, residency: Residency, pins: u64) -> FollowUp {
        self.residency = residency;
        self.pins = pins;
        self.dirty &= residency == Residency::Resident;
        self.settle()
    }

    /// The owner lets go.
    pub fn release(&mut self) -> FollowUp {
        if self.released {
            return FollowUp { duty: Duty::None, wake: false };
        }
        self.released = true;
        self.settle()
    }

    /// To be woken when the work is done.
    pub fn want(&mut self) -> Want {
        self.ask(self.busy())
    }

    /// To be woken when nobody uses the entry.
    pub fn want_unpinned(&mut self) -> Want {
        self.ask(self.busy() || self.pins > 0)
    }

    /// What an unasked reader of the flag gets.
    pub fn take_dirty(&mut self) -> bool {
        std::mem::take(&mut self.dirty)
    }

    fn ask(&mut self, reason: bool) -> Want {
        self.wanted |= reason;
        if reason { Want::Wait } else { Want::Ready }
    }

    fn settle(&mut self) -> FollowUp {
        let wake = std::mem::take(&mut self.wanted);
        let unused = !self.busy() && self.pins == 0;
        let mut duty = Duty::None;
        if self.released && unused {
            if self.residency == Residency::Resident {
                duty = Duty::FreeMemory;
            }
            (self.residency, self.dirty) = (Residency::Released, false);
        }
        FollowUp { duty, wake }
    }
}
