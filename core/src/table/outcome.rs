//! What the residency word answers: each outcome says what its caller does next.

#[cfg(doc)]
use super::ResidencyWord;
use super::state::{Residency, State};

/// What an attempt to pin came to.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Pin {
    /// The bytes stay where they are until [`ResidencyWord::unpin`].
    Pinned,
    /// There are no bytes: try [`ResidencyWord::begin_materialise`].
    Absent,
    /// Another thread brings them or takes them away: [`ResidencyWord::want`], wait, try again.
    Busy(Residency),
    /// The owner has let go: give up.
    Released,
}

/// What an attempt to have the entry to oneself came to.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Claim {
    /// The entry is this thread's until it finishes, fails or cancels what it began.
    Won,
    /// It is not, because of this state.
    Lost(State),
}

/// Whether a wait would end.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Want {
    /// A thread is at work whose transition will say [`FollowUp::wake`]: wait.
    Wait,
    /// There is nothing to wait for: try again now.
    Ready,
}

/// What the thread that made a transition still has to do.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowUp {
    /// What to do with the memory.
    pub duty: Duty,
    /// Whether somebody waits for this change and is to be woken.
    pub wake: bool,
}

/// Who frees the memory of a released entry: exactly one thread is ever told to.
#[must_use]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duty {
    /// Nothing.
    None,
    /// The entry is released and its memory still allocated: it is this thread's to free.
    FreeMemory,
}

impl FollowUp {
    pub(super) const NOTHING: FollowUp = FollowUp { duty: Duty::None, wake: false };
}

impl Pin {
    /// The answer to whoever finds the entry in a state from which there is no pin.
    #[cold]
    pub(super) fn refused(state: State) -> Pin {
        match state.residency() {
            _ if state.is_released() => Pin::Released,
            Residency::Absent => Pin::Absent,
            busy => Pin::Busy(busy),
        }
    }
}
