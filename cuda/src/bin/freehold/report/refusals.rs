//! Refusals: why requests got no memory, by what a person would do about it, the most bytes first.

use std::collections::BTreeMap;

use freehold_cuda::Error;
use freehold_cuda::observe::Because;
use serde::Serialize;

use super::groups::Group;

/// As many reasons as fit on a screen.
const MOST_ROWS: usize = 12;

/// Why a request got no memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reason {
    /// More than the budget could ever hold.
    TooLarge,
    /// With what is set aside for others, in a reservation, the bytes would suffice.
    SetAside,
    /// The free bytes suffice, but lie in pieces between blocks that stay.
    InPieces,
    /// With all that may leave gone, the bytes would suffice, but no hole is long enough.
    Walled,
    /// What is pinned or fixed leaves too little.
    Held,
    /// Something else failed.
    Other,
}

impl Reason {
    fn of(error: &Error) -> Reason {
        match error {
            Error::TooLarge { .. } => Reason::TooLarge,
            Error::OutOfMemory { requested, free, refusal, .. } => match refusal.because {
                Because::TooFew { at_most } if *requested <= at_most + refusal.set_aside => Reason::SetAside,
                Because::InPieces { .. } if requested <= free => Reason::InPieces,
                Because::InPieces { .. } => Reason::Walled,
                _ => Reason::Held,
            },
            _ => Reason::Other,
        }
    }
}

/// All refusals.
#[derive(Debug, Default)]
pub(super) struct Refusals(BTreeMap<(Reason, Group), Refused>);

/// The refusals of one reason and group, and what the largest of them said.
#[derive(Clone, Debug, Default)]
struct Refused {
    count: u64,
    bytes: u64,
    largest: u64,
    said: String,
}

impl Refusals {
    pub(super) fn add(&mut self, group: Group, requested: u64, error: &Error) {
        let refused = self.0.entry((Reason::of(error), group)).or_default();
        refused.count += 1;
        refused.bytes = refused.bytes.saturating_add(requested);
        if requested >= refused.largest {
            (refused.largest, refused.said) = (requested, error.to_string());
        }
    }

    /// The most frequent first.
    pub(super) fn rows(&self) -> Vec<Row> {
        let mut rows: Vec<Row> = self.0.iter().map(Row::of).collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.count, row.bytes)));
        rows.truncate(MOST_ROWS);
        rows
    }
}

/// One line of the page's table.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    reason: Reason,
    group: Group,
    count: u64,
    bytes: u64,
    largest: u64,
    /// The refusal of the largest, in the manager's words.
    said: String,
}

impl Row {
    fn of((&(reason, group), refused): (&(Reason, Group), &Refused)) -> Row {
        let Refused { count, bytes, largest, said } = refused.clone();
        Row { reason, group, count, bytes, largest, said }
    }
}
