//! The audit of the whole: what the handles hold, what the buddies gave out and what the budget was charged agree (G5).
//! A fault names its invariant by the number that it has in ARCHITECTURE.md.

use crate::budget::Charge;
use crate::inner::Inner;
use crate::spill::Spilled;
use crossbeam_epoch as epoch;
use freehold_core::Bytes;

/// Sums that an audit found to agree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Books {
    /// Entries in the table, resident or not.
    pub handles: usize,
    /// Entries with memory.
    pub buffers: usize,
    /// Bytes of their blocks, in whole granules.
    pub resident: Bytes,
    /// Bytes of all arenas that no block covers.
    pub free: Bytes,
    /// Bytes set aside in reservations, used or not.
    pub set_aside: Bytes,
    /// Bytes in host memory that evictions wrote out.
    pub spilled: Bytes,
}

/// Two books that disagree. Always a defect, or another thread was at work during the audit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BooksError {
    /// The blocks of the entries are not what the buddies gave out.
    #[error("I12: entries hold {held}, the buddies gave out {given_out}")]
    Blocks {
        /// Sum over the entries.
        held: Bytes,
        /// Capacity less free bytes, over the arenas.
        given_out: Bytes,
    },
    /// The gauge of resident bytes is not what the entries hold.
    #[error("I12: entries hold {held}, the gauge says {gauge}")]
    Gauge {
        /// Sum over the entries.
        held: Bytes,
        /// The statistics' figure.
        gauge: Bytes,
    },
    /// More is held than the budget was charged for.
    #[error("I11: entries hold {held} of the budget, {charged} are charged")]
    Budget {
        /// Sum over the entries charged to the budget.
        held: Bytes,
        /// The budget's figure.
        charged: Bytes,
    },
    /// What the entries have in host memory is not what the spill budget was charged.
    #[error("I13: entries have {held} spilled, {charged} are charged")]
    Spill {
        /// Sum over the entries.
        held: Bytes,
        /// The spill budget's figure.
        charged: Bytes,
    },
    /// A buddy's tree is wrong in itself.
    #[error("I1 to I3: arena {arena}: {reason}")]
    Buddy {
        /// Which arena.
        arena: u32,
        /// What its audit said.
        reason: String,
    },
    /// The table is wrong in itself.
    #[error("I7: {0}")]
    Table(String),
}

pub(crate) fn audit(inner: &Inner) -> Result<Books, BooksError> {
    let guard = epoch::pin();
    inner.table.audit(&guard).map_err(|fault| BooksError::Table(format!("{fault:?}")))?;
    let (mut books, mut from_budget) = (Books::default(), 0);
    for entry in inner.table.iter(&guard) {
        books.handles += 1;
        books.spilled = books.spilled + entry.payload().spilled.lock().as_ref().map_or(Bytes::ZERO, Spilled::bytes);
        let Some(place) = entry.payload().place.get() else { continue };
        let bytes = inner.reserved(entry.payload().bytes);
        books.buffers += 1;
        books.resident = books.resident + bytes;
        from_budget += if place.charge == Charge::Budget { bytes.get() } else { 0 };
    }
    books.free = audit_arenas(inner)?;
    compare(inner, &mut books, Bytes(from_budget))?;
    Ok(books)
}

/// The free bytes of all arenas, each of which is right in itself.
fn audit_arenas(inner: &Inner) -> Result<Bytes, BooksError> {
    let mut free = Bytes::ZERO;
    for (index, arena) in inner.arenas.iter() {
        let checked = arena.buddy().audit();
        checked.map_err(|error| BooksError::Buddy { arena: index, reason: format!("{error:?}") })?;
        free = free + arena.size() - arena.given_out();
    }
    Ok(free)
}

fn compare(inner: &Inner, books: &mut Books, from_budget: Bytes) -> Result<(), BooksError> {
    let held = books.resident;
    let given_out = inner.arenas.live_bytes() - books.free;
    if held != given_out {
        return Err(BooksError::Blocks { held, given_out });
    }
    let gauge = Bytes(inner.traffic.tally.read().resident_bytes);
    if held != gauge {
        return Err(BooksError::Gauge { held, gauge });
    }
    if books.spilled != inner.spill.budget.used() {
        return Err(BooksError::Spill { held: books.spilled, charged: inner.spill.budget.used() });
    }
    let charged = inner.traffic.budget.used();
    if from_budget > charged {
        return Err(BooksError::Budget { held: from_budget, charged });
    }
    books.set_aside = charged - from_budget;
    Ok(())
}
