//! The residency word: one atomic 64-bit [`State`] an entry, and everything that may happen to it.
//!
//! Whoever moves a word by a transition has what the transition gives: a pin, the entry to itself, or the memory to free.
//! There is nothing else to take: access to a resident entry is one compare-exchange to pin and one subtraction to unpin.
//!
//! | edge | written by | read by | what becomes visible | models that fail without it |
//! | --- | --- | --- | --- | --- |
//! | W1 | a transition (Release) | the next transition, or a pin (Acquire) | the bytes that a materialise or a move left; what a waiter registered before `want` | `one_access_materialises`, `pinned_entry_is_never_evicted`, `who_waits_for_the_last_unpin_is_woken` |
//! | W2 | unpin (Release) | begin_evict, release, the last unpin (Acquire) | every use of the bytes made under the pin | `pinned_entry_is_never_evicted`, `release_against_two_unpins_frees_once` |
//!
//! All writers are read-modify-writes, so each continues the release sequence of those before it: reading the newest value
//! acquires from all of them.

use core::fmt;

use super::outcome::{Claim, Duty, FollowUp, Pin, Want};
use super::state::{DIRTY, ONE_PIN, State};
use crate::sync::atomic::{AtomicU64, Ordering};

/// The state of one entry, shared by all who use, evict and release it.
///
/// It is not a count of handles and knows nothing of memory: it says who may touch the bytes now.
///
/// **Progress**: every operation is lock-free, and retries only when another thread's operation on the same entry has
/// succeeded in between; `unpin` that is not the last, `mark_dirty`, `take_dirty` and `snapshot` are wait-free. Nothing
/// here waits: `want` says whether a wake-up will come, and waiting is the caller's.
/// **Complexity**: constant.
///
/// ```
/// use freehold_core::table::{Claim, Duty, Pin, ResidencyWord};
///
/// let word = ResidencyWord::new();
/// assert_eq!(word.try_pin(), Pin::Absent);
/// assert_eq!(word.begin_materialise(), Claim::Won);
/// let _ = word.finish_materialise(1); // the winner keeps a pin
/// assert!(matches!(word.begin_evict(), Claim::Lost(_)), "pinned");
/// assert_eq!(word.release().duty, Duty::None, "the pin is still there");
/// assert_eq!(word.unpin().duty, Duty::FreeMemory);
/// ```
pub struct ResidencyWord(AtomicU64);

impl ResidencyWord {
    /// A word in state Absent.
    #[must_use]
    pub fn new() -> Self {
        ResidencyWord(AtomicU64::new(State::ABSENT.to_bits()))
    }

    /// Forbids eviction until the matching [`unpin`](Self::unpin), if the bytes are there. Pins nest.
    #[inline]
    pub fn try_pin(&self) -> Pin {
        // Looking first costs 1 ns of 5 where the guess "resident, clean, unpinned" would have been right, and saves more
        // wherever it is wrong: at every entry that was written to, and where several use one.
        let mut seen = self.snapshot();
        while let Some(pinned) = seen.pin() {
            // Acquire W1: pairs with the AcqRel of the transition that made the entry resident; its bytes are visible.
            // Relaxed on failure: the value only says what to try next.
            let (from, to) = (seen.to_bits(), pinned.to_bits());
            match self.0.compare_exchange_weak(from, to, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Pin::Pinned,
                Err(bits) => seen = State::from_bits(bits),
            }
        }
        Pin::refused(seen)
    }

    /// Gives a pin back.
    ///
    /// **Panics** when there is none to give back: its books are then wrong, and the word with them.
    #[inline]
    pub fn unpin(&self) -> FollowUp {
        // Release W2: pairs with the AcqRel of whoever evicts or frees next; our use of the bytes is over before that.
        let before = State::from_bits(self.0.fetch_sub(ONE_PIN, Ordering::Release));
        if before.pins() == 0 || before.is_released() || before.is_wanted() {
            return self.after_unpin(before);
        }
        FollowUp::NOTHING
    }

    /// Claims an absent entry, to bring its bytes: one of all who try at once wins (C4).
    pub fn begin_materialise(&self) -> Claim {
        self.claim(State::begin_materialise)
    }

    /// The bytes are there, and the claimant holds `pins` pins on them, from the same instant. Where the owner has let go
    /// meanwhile the pins hold all the same, and the last unpin has the duty to free; with no pins it is the caller's now.
    ///
    /// **Panics** unless the caller's claim stands.
    pub fn finish_materialise(&self, pins: u32) -> FollowUp {
        self.end(|state| state.finish_materialise(pins))
    }

    /// The bytes did not come: absent again. Any memory for them is the caller's to free, released or not.
    ///
    /// **Panics** unless the caller's claim stands.
    pub fn fail_materialise(&self) -> FollowUp {
        self.end(State::fail_materialise)
    }

    /// Claims a resident entry that nobody uses, to take its bytes away, or to move them.
    pub fn begin_evict(&self) -> Claim {
        self.claim(State::begin_evict)
    }

    /// The bytes are gone. Their memory is the caller's to free, released or not.
    ///
    /// **Panics** unless the caller's claim stands.
    pub fn finish_evict(&self) -> FollowUp {
        self.end(State::finish_evict)
    }

    /// The bytes are there after all, perhaps elsewhere: resident again, dirty if they were. Where the owner has let go
    /// meanwhile the duty to free them is the caller's.
    ///
    /// **Panics** unless the caller's claim stands.
    pub fn cancel_evict(&self) -> FollowUp {
        self.end(State::cancel_evict)
    }

    /// The owner lets go, for good. No new pin is given and nothing new begins; who is told to free is the one who makes
    /// the entry unused: this thread, the last to unpin, or the one at work on it. A second release changes nothing.
    pub fn release(&self) -> FollowUp {
        self.follow(State::release).unwrap_or(FollowUp::NOTHING)
    }

    /// Asks to be woken when the thread at work has finished. Register with whatever wakes you before you ask.
    pub fn want(&self) -> Want {
        self.ask(State::want)
    }

    /// Asks to be woken when nobody uses the entry or works on it any more, or sooner: look again then. Register with
    /// whatever wakes you before you ask.
    pub fn want_unpinned(&self) -> Want {
        self.ask(State::want_unpinned)
    }

    /// Says that the bytes were written (C11). For who has a pin, whose end makes it visible to whoever evicts, or the entry
    /// to itself.
    pub fn mark_dirty(&self) {
        // Relaxed: the caller's unpin comes after it in this same word, and W2 carries both.
        self.0.fetch_or(DIRTY, Ordering::Relaxed);
    }

    /// Whether the bytes were written since they came or since this was last asked. For the thread that has the entry to
    /// itself; if it then fails to save them, it says [`mark_dirty`](Self::mark_dirty) again before it cancels.
    #[must_use]
    pub fn take_dirty(&self) -> bool {
        // Relaxed: the claim that gave us the entry has acquired every write made under a pin (W2).
        State::from_bits(self.0.fetch_and(!DIRTY, Ordering::Relaxed)).is_dirty()
    }

    /// The state at some moment during the call: for statistics and for choosing victims, never a permission.
    #[must_use]
    #[inline]
    pub fn snapshot(&self) -> State {
        // Relaxed: nothing is read on the strength of it.
        State::from_bits(self.0.load(Ordering::Relaxed))
    }

    /// An unpin that may have been the last of a released or wanted entry, or one too many.
    #[cold]
    fn after_unpin(&self, before: State) -> FollowUp {
        assert!(before.pins() > 0, "unpin of an entry that is {before:?}");
        if before.pins() > 1 {
            return FollowUp::NOTHING;
        }
        self.follow(State::last_unpin).unwrap_or(FollowUp::NOTHING)
    }

    fn claim(&self, begin: impl Fn(State) -> Option<State>) -> Claim {
        match self.transition(begin) {
            Ok(_) => Claim::Won,
            Err(state) => Claim::Lost(state),
        }
    }

    fn end(&self, finish: impl Fn(State) -> Option<State>) -> FollowUp {
        self.follow(finish).unwrap_or_else(|state| panic!("no claim to end: the entry is {state:?}"))
    }

    fn ask(&self, want: impl Fn(State) -> Option<State>) -> Want {
        match self.transition(want) {
            Ok(_) => Want::Wait,
            Err(_) => Want::Ready,
        }
    }

    /// A transition that may end the entry and wakes whoever waits.
    fn follow(&self, next: impl Fn(State) -> Option<State>) -> Result<FollowUp, State> {
        let before = self.transition(|state| Some(next(state)?.settle().0))?;
        let duty = next(before).map_or(Duty::None, |after| after.settle().1);
        Ok(FollowUp { duty, wake: before.is_wanted() })
    }

    /// The compare-exchange loop. Bounded by the transitions of others: each retry means that one has succeeded.
    fn transition(&self, next: impl Fn(State) -> Option<State>) -> Result<State, State> {
        // AcqRel W1, W2: takes over what the pins and transitions before it left, and leaves its own to the next.
        // Relaxed on failure: the value only says what to try next.
        self.0
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, |bits| next(State::from_bits(bits)).map(State::to_bits))
            .map(State::from_bits)
            .map_err(State::from_bits)
    }
}

impl Default for ResidencyWord {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ResidencyWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResidencyWord({:?})", self.snapshot())
    }
}
