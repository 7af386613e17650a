//! The pool's one atomic word, as a value: what the bits say and which changes are allowed.
//!
//! ```text
//!  63                                   2        1       0
//! +--------------------------------------+--------+------+
//! | free bytes, signed                   | closed |  0   |   plain: nobody waits, the number is all there is
//! +--------------------------------------+--------+------+
//! | address of a Ledger (aligned, so its low bits are 0) | 1 |   queued: the ledger has the number and the queue
//! +---------------------------------------------------+------+
//! ```
//! Free bytes are signed because a total may be lowered below what is leased: then they are a debt that returning
//! leases pay first. There is no third state, and one compare-exchange of this word is every operation of the pool.

const QUEUED: u64 = 1;
const CLOSED: u64 = 1 << 1;
const FREE_SHIFT: u32 = 2;

/// The largest total: it leaves the free field room for a debt of the same size.
pub(super) const LARGEST_TOTAL: u64 = 1 << 60;
const _: () = assert!(LARGEST_TOTAL < 1 << (63 - FREE_SHIFT), "free bytes and the largest debt fit the signed field");

/// A value of the pool's word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Word(pub(super) u64);

/// What a plain word says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) free: i64,
    pub(super) closed: bool,
}

impl Word {
    pub(super) fn plain(plain: Plain) -> Word {
        Word((plain.free << FREE_SHIFT) as u64 | if plain.closed { CLOSED } else { 0 })
    }

    pub(super) fn queued(ledger_address: u64) -> Word {
        debug_assert_eq!(ledger_address & QUEUED, 0, "a ledger is aligned");
        Word(ledger_address | QUEUED)
    }

    /// The address of the ledger, or what the word itself says.
    pub(super) fn read(self) -> Result<Plain, u64> {
        if self.0 & QUEUED != 0 {
            return Err(self.0 & !QUEUED);
        }
        Ok(Plain { free: self.0 as i64 >> FREE_SHIFT, closed: self.0 & CLOSED != 0 })
    }

    /// `bytes` leave: only from an open pool in which nobody waits and that has them.
    #[inline]
    pub(super) fn take(self, bytes: u64) -> Option<Word> {
        if self.0 & (QUEUED | CLOSED) != 0 {
            return None;
        }
        let free = self.0 as i64 >> FREE_SHIFT;
        (free >= bytes as i64).then(|| Word(self.0 - (bytes << FREE_SHIFT)))
    }

    /// `bytes` return: to a closed pool as well, but where somebody waits the ledger must serve.
    #[inline]
    pub(super) fn give(self, bytes: u64) -> Option<Word> {
        (self.0 & QUEUED == 0).then(|| Word(self.0.wrapping_add(bytes << FREE_SHIFT)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(free: i64) -> Word {
        Word::plain(Plain { free, closed: false })
    }

    #[test]
    fn take_and_give_are_inverse_and_a_debt_is_paid_first() {
        assert_eq!(open(10).take(4).map(|w| w.read()), Some(Ok(Plain { free: 6, closed: false })));
        assert!(open(10).take(11).is_none());
        assert!(open(-3).take(1).is_none(), "a debt admits nobody");
        assert_eq!(open(-3).give(5).map(|w| w.read()), Some(Ok(Plain { free: 2, closed: false })));
        let largest = LARGEST_TOTAL as i64;
        assert_eq!(open(-largest).read(), Ok(Plain { free: -largest, closed: false }));
    }

    #[test]
    fn a_closed_word_takes_back_and_gives_nothing_out() {
        let closed = Word::plain(Plain { free: 8, closed: true });
        assert!(closed.take(1).is_none());
        assert_eq!(closed.give(1).map(|w| w.read()), Some(Ok(Plain { free: 9, closed: true })));
    }

    #[test]
    fn a_queued_word_leaves_every_decision_to_its_ledger() {
        let queued = Word::queued(0x1000);
        assert_eq!(queued.read(), Err(0x1000));
        assert!(queued.take(1).is_none() && queued.give(1).is_none());
    }
}
