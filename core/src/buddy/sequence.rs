//! The sequence: the word of a slot that tells a search whether something may have been hidden from it.
//!
//! ```text
//!   63                            21     20     19              0
//!   [ changes: frees, sections left ][ here ][ sections open now  ]
//! ```
//! Its bit *here* says that the owner has freed the slot's latest run and not taken it again; another may have. So the books of
//! that run's coming and going are this word alone.

/// A slot's sequence, as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sequence(pub(super) u64);

/// One more open section.
pub(super) const ENTER: u64 = 1;
/// One change more.
pub(super) const FREED: u64 = HERE << 1;
/// One open section less, one change more.
pub(super) const LEAVE: u64 = FREED - ENTER;
/// The latest run is here. A million threads may be in sections of the shared slot before their count comes up to it.
const HERE: u64 = 1 << 20;

impl Sequence {
    /// Frees, and sections left, so far.
    pub(super) fn completed(self) -> u64 {
        self.0 / FREED
    }

    /// Sections open now.
    pub(super) fn open(self) -> u64 {
        self.0 % HERE
    }

    /// Whether the latest run is here.
    #[inline]
    pub(super) fn is_here(self) -> bool {
        self.0 & HERE != 0
    }

    /// The latest run is taken again. No change that a search must know of: it hides only what it returns.
    #[inline]
    pub(super) fn taken(self) -> Option<Sequence> {
        self.is_here().then(|| Sequence(self.0 - HERE))
    }

    /// The mirror of [`taken`](Sequence::taken): it is freed again.
    #[inline]
    pub(super) fn freed(self) -> Option<Sequence> {
        (!self.is_here()).then(|| self.freed_latest())
    }

    /// A section is open.
    #[inline]
    pub(super) fn entered(self) -> Sequence {
        Sequence(self.0 + ENTER)
    }

    /// It was opened after this, and is left.
    #[inline]
    pub(super) fn left(self) -> Sequence {
        Sequence(self.0.wrapping_add(FREED))
    }

    /// Another run is freed, and is the latest from now on.
    #[inline]
    pub(super) fn freed_latest(self) -> Sequence {
        Sequence(self.0.wrapping_add(FREED) | HERE)
    }
}

#[cfg(all(test, not(freehold_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_latest_run_comes_and_goes_and_only_frees_count() {
        let section = Sequence(0).freed_latest().entered();
        assert_eq!((section.completed(), section.open(), section.is_here()), (1, 1, true));
        assert_eq!(section.freed(), None, "it is here");
        let out = section.taken().unwrap();
        assert_eq!((out.completed(), out.open(), out.taken()), (1, 1, None));
        let again = out.freed().unwrap();
        assert_eq!((again.completed(), again.open(), again.is_here()), (2, 1, true));
        assert_eq!(again.left().completed(), 3);
    }
}
