//! A refusal in words: what follows the five numbers of the error, for a person who has nothing else to go by.
//!
//! What was missing comes first, then who asked, how the budget stands, who may leave and who stays, and last what to try.

use super::refusal::{Advice, Because, EvictableAt, Holder, Refusal, Why};
use freehold_core::Bytes;
use std::fmt::{self, Display, Formatter};

/// More than these are summed up: a message is read by a person.
const LINES: usize = 6;

impl Display for Refusal {
    /// What follows the five numbers of the error.
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "; {}", self.because)?;
        if !self.plugin.is_empty() {
            write!(f, "; asked by {:?}", self.plugin)?;
        }
        if let Some(priority) = self.priority {
            write!(f, "; with priority {priority}, for which nothing higher leaves")?;
        }
        write!(f, "; budget {}", self.budget)?;
        if self.lent > Bytes::ZERO {
            write!(f, " with {} lent", self.lent)?;
        }
        if self.set_aside > Bytes::ZERO {
            write!(f, ", {} of it set aside in reservations and unused", self.set_aside)?;
        }
        listed(f, "; evictable: ", &self.evictable)?;
        listed(f, "; staying: ", &self.holders)?;
        listed(f, "; try: ", &self.advice)
    }
}

/// The items with a comma between, the rest as a number.
fn listed<T: Display>(f: &mut Formatter<'_>, head: &str, items: &[T]) -> fmt::Result {
    for (nth, item) in items.iter().take(LINES).enumerate() {
        write!(f, "{}{item}", if nth == 0 { head } else { ", " })?;
    }
    match items.len().saturating_sub(LINES) {
        0 => Ok(()),
        more => write!(f, " and {more} more"),
    }
}

impl Display for Because {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Because::TooFew { at_most } => write!(f, "with all gone that may leave, at most {at_most} could be had"),
            Because::InPieces { longest } => {
                write!(f, "with all gone that may leave, no piece between what stays is longer than {longest}")
            }
        }
    }
}

impl Display for EvictableAt {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "{} at priority {}", self.bytes, self.priority)
    }
}

impl Display for Holder {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Holder { plugin, why, entries, bytes, largest } = self;
        write!(f, "{bytes} {why}")?;
        if !plugin.is_empty() {
            write!(f, " of {plugin:?}")?;
        }
        match entries {
            1 => write!(f, " ({largest:?})"),
            _ => write!(f, " ({entries} entries, the largest {largest:?})"),
        }
    }
}

impl Display for Why {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Why::Pinned => "pinned",
            Why::Fixed => "fixed",
            Why::Unspillable => "beyond the spill budget",
            Why::RanksHigher => "of higher priority",
            Why::Arriving => "arriving",
            Why::Leaving => "leaving or moving",
        })
    }
}

impl Display for Advice {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Advice::Wait { bytes } => write!(f, "wait with a timeout for {bytes} on their way"),
            Advice::AskWithPriority { priority } => write!(f, "ask with priority {priority} or more"),
            Advice::Unpin { plugin, label, bytes } => write!(f, "unpin {label:?} of {plugin:?} ({bytes})"),
            Advice::UnpinAll { plugin: Some(plugin), bytes } => write!(f, "unpin all of {plugin:?} ({bytes})"),
            Advice::UnpinAll { plugin: None, bytes } => write!(f, "unpin everything ({bytes})"),
            Advice::AllowMoves => f.write_str("allow moves: another layout would do"),
            Advice::RaiseSpillBudget { by } => write!(f, "raise the spill budget by {by}"),
            Advice::EndReservations { bytes } => write!(f, "end reservations that hold {bytes} unused"),
            Advice::EndHandover { bytes } => write!(f, "take back {bytes} that are lent"),
            Advice::RaiseBudget { by } => write!(f, "raise the budget by {by}"),
            Advice::AskForLess { at_most } => write!(f, "ask for at most {at_most} at once"),
        }
    }
}
