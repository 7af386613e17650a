//! The shape of one arena: how many granules it has, and how amounts of bytes become runs of them.
//!
//! Inside the buddy everything is counted in granules; bytes appear only at its face, and this file is that face's ruler.
//! Rounding never wraps: amounts are compared with the capacity before they are rounded.

use super::error::{AllocateError, GeometryError};
use super::request::{Block, Request};
use crate::units::{Bytes, Offset};

/// The most granules an arena may have: 2^40, which at 512 bytes each is half a pebibyte.
const MOST_GRANULES: u64 = 1 << 40;

/// The shape of one arena: its capacity in whole granules.
///
/// ```
/// use freehold_core::{Bytes, buddy::Geometry};
/// let geometry = Geometry::new(Bytes(10_000), Bytes(512)).unwrap();
/// assert_eq!(geometry.capacity(), Bytes(9_728)); // 19 whole granules: the rest is not managed
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    granules: u64,
    granule: u64,
    /// log2 of the granule where it is a power of two: a shift is an eighth of a division. `NO_SHIFT` where it is not.
    shift: u32,
}

/// The granule is no power of two.
const NO_SHIFT: u32 = u32::MAX;

impl Geometry {
    /// An arena of `arena` bytes, rounded down to whole granules of `granule` bytes. The granule may be any size from 1.
    ///
    /// # Errors
    /// [`GeometryError`] when not one granule fits, or more than 2^40 do.
    pub const fn new(arena: Bytes, granule: Bytes) -> Result<Geometry, GeometryError> {
        if granule.0 == 0 || arena.0 < granule.0 {
            return Err(GeometryError::NoGranule { arena, granule });
        }
        let granules = arena.0 / granule.0;
        if granules > MOST_GRANULES {
            return Err(GeometryError::TooMany { granules, limit: MOST_GRANULES });
        }
        let shift = if granule.0.is_power_of_two() { granule.0.trailing_zeros() } else { NO_SHIFT };
        Ok(Geometry { granules, granule: granule.0, shift })
    }

    /// The bytes that can be handed out in all.
    #[must_use]
    pub const fn capacity(&self) -> Bytes {
        Bytes(self.granules * self.granule)
    }

    /// The smallest unit: every block starts at a multiple of it and reserves whole ones.
    #[must_use]
    pub const fn granule(&self) -> Bytes {
        Bytes(self.granule)
    }

    /// What a block of `bytes` takes from the arena: whole granules.
    #[must_use]
    pub const fn reserved(&self, bytes: Bytes) -> Bytes {
        Bytes(self.granules_for(bytes).saturating_mul(self.granule))
    }

    pub(super) const fn granules(&self) -> u64 {
        self.granules
    }

    /// How many granules `bytes` reserve.
    #[inline]
    pub(super) const fn granules_for(&self, bytes: Bytes) -> u64 {
        if self.shift == NO_SHIFT {
            bytes.0.div_ceil(self.granule)
        } else {
            (bytes.0 >> self.shift) + (bytes.0 & (self.granule - 1) != 0) as u64
        }
    }

    /// The granule that starts at `offset`, if one does.
    #[inline]
    const fn granule_at(&self, offset: Offset) -> Option<u64> {
        let granule = if self.shift == NO_SHIFT { offset.0 / self.granule } else { offset.0 >> self.shift };
        if granule * self.granule == offset.0 { Some(granule) } else { None }
    }

    #[inline]
    pub(super) const fn bytes_of(&self, granules: u64) -> Bytes {
        Bytes(granules * self.granule)
    }

    /// The request in granules, or why no arena of this size can ever serve it.
    pub(super) fn need(&self, request: Request) -> Result<Need, AllocateError> {
        if request.bytes == Bytes::ZERO {
            return Err(AllocateError::ZeroBytes);
        }
        if request.bytes > self.capacity() {
            return Err(AllocateError::TooLarge { requested: request.bytes, capacity: self.capacity() });
        }
        Ok(Need { granules: self.granules_for(request.bytes), align: self.align_granules(request.align.0) })
    }

    /// Whether every granule starts at a multiple of `align` bytes, as far as that is seen at once.
    #[inline]
    pub(super) const fn starts_at(&self, align: Bytes) -> bool {
        align.0 <= 1 || (self.shift != NO_SHIFT && align.0.is_power_of_two() && align.0 <= self.granule)
    }

    /// Every how many granules a start lies at a multiple of `align` bytes.
    const fn align_granules(&self, align: u64) -> u64 {
        if align <= 1 {
            return 1;
        }
        if self.shift != NO_SHIFT && align.is_power_of_two() {
            let steps = align >> self.shift;
            return if steps == 0 { 1 } else { steps };
        }
        // granule * steps is a multiple of align at the first time when steps = align / gcd(align, granule).
        align / gcd(align, self.granule)
    }

    /// Where a granule starts.
    #[inline]
    pub(super) const fn offset_of(&self, granule: u64) -> Offset {
        Offset(granule * self.granule)
    }

    /// The block that stands for `run`, of which `bytes` were asked for.
    #[inline]
    pub(super) const fn block(&self, run: Run, bytes: Bytes) -> Block {
        Block::from_parts(self.offset_of(run.start), bytes)
    }

    /// The run of granules that `bytes` at `offset` reserve, if such a run lies in this arena.
    #[inline]
    pub(super) const fn run(&self, offset: Offset, bytes: Bytes) -> Option<Run> {
        let Some(start) = self.granule_at(offset) else { return None };
        if bytes.0 == 0 || start >= self.granules {
            return None;
        }
        let granules = self.granules_for(bytes);
        if granules > self.granules - start { None } else { Some(Run { start, end: start + granules }) }
    }
}

/// A request, counted in granules: how many, starting at a multiple of how many.
#[derive(Clone, Copy, Debug)]
pub(super) struct Need {
    pub(super) granules: u64,
    pub(super) align: u64,
}

impl Need {
    /// Whether this run is just what is needed.
    #[inline]
    pub(super) const fn is(self, run: Run) -> bool {
        run.granules() == self.granules && (self.align <= 1 || run.start.is_multiple_of(self.align))
    }

    /// The first granule at or after `at` that a run may start at.
    #[inline]
    pub(super) const fn next_start(self, at: u64) -> Option<u64> {
        if self.align.is_power_of_two() {
            // A mask instead of a division.
            return match at.checked_add(self.align - 1) {
                Some(past) => Some(past & !(self.align - 1)),
                None => None,
            };
        }
        at.checked_next_multiple_of(self.align)
    }
}

/// Neighbouring granules, from `start` up to and without `end`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) start: u64,
    pub(super) end: u64,
}

impl Run {
    /// No granules: in place of an `Option`, which would not come back in registers.
    pub(super) const EMPTY: Run = Run { start: 0, end: 0 };

    #[inline]
    pub(super) const fn is_empty(self) -> bool {
        self.start >= self.end
    }

    pub(super) const fn granules(self) -> u64 {
        self.end - self.start
    }
}

const fn gcd(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

#[cfg(test)]
mod tests {
    use super::*;

    fn geometry() -> Geometry {
        Geometry::new(Bytes(10_000), Bytes(512)).unwrap()
    }

    #[test]
    fn an_arena_holds_whole_granules_only() {
        assert_eq!(geometry().granules(), 19);
        assert!(matches!(Geometry::new(Bytes(511), Bytes(512)), Err(GeometryError::NoGranule { .. })));
        assert!(matches!(Geometry::new(Bytes(511), Bytes(0)), Err(GeometryError::NoGranule { .. })));
        assert!(matches!(Geometry::new(Bytes(u64::MAX), Bytes(1)), Err(GeometryError::TooMany { .. })));
        assert_eq!(Geometry::new(Bytes(7), Bytes(1)).unwrap().capacity(), Bytes(7));
    }

    #[test]
    fn huge_requests_are_refused_without_wrapping() {
        for bytes in [9_729, 1 << 63, u64::MAX] {
            let refusal = geometry().need(Request::new(Bytes(bytes)));
            assert_eq!(
                refusal.unwrap_err(),
                AllocateError::TooLarge { requested: Bytes(bytes), capacity: Bytes(9_728) }
            );
        }
        assert_eq!(geometry().need(Request::new(Bytes(0))).unwrap_err(), AllocateError::ZeroBytes);
    }

    #[test]
    fn alignment_counts_in_granules() {
        let steps = |align| geometry().need(Request::new(Bytes(1)).aligned(Bytes(align))).unwrap().align;
        assert_eq!([0, 1, 256, 512, 1024, 4096, 768].map(steps), [1, 1, 1, 1, 2, 8, 3]);
    }

    #[test]
    fn foreign_ranges_have_no_run() {
        let run = |offset, bytes| geometry().run(Offset(offset), Bytes(bytes));
        assert_eq!(run(512, 513), Some(Run { start: 1, end: 3 }));
        assert_eq!(run(9_216, 512), Some(Run { start: 18, end: 19 }));
        for (offset, bytes) in [(100, 512), (512, 0), (9_216, 513), (9_728, 1), (u64::MAX, 1), (0, u64::MAX)] {
            assert_eq!(run(offset, bytes), None);
        }
    }
}
