//! Who goes first: the policies, and what a request says about itself.
//!
//! A policy is two answers: the **place** a newcomer takes in the queue, and whether those behind a waiter that does not
//! fit may go before it. A place is fixed on arrival, so ageing needs no clock and no pass over the queue.

use crate::units::Bytes;

/// The order in which waiters are served.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fairness {
    /// In order of arrival. A later, smaller request does not overtake, so a large waiter is never starved.
    #[default]
    Fifo,
    /// Whoever fits goes, the longest waiting first among those. A large waiter can starve; it is for callers that hold a lease and ask for more.
    Barging,
    /// The higher class first, in order of arrival inside a class.
    Priority {
        /// How many later arrivals of the next higher class may go before a waiter: twice as many of two classes above, and
        /// so on. After that it is its turn, so that no class starves.
        ageing: u32,
    },
}

/// What is asked of a pool: bytes, and the class they are asked for in (0 if nothing is said; only
/// [`Fairness::Priority`] looks at it).
///
/// ```
/// # use freehold_core::{Bytes, AdmissionRequest};
/// let decode = AdmissionRequest::new(Bytes(1 << 20)).with_class(3);
/// assert_eq!(AdmissionRequest::from(5).bytes, Bytes(5));
/// # assert_eq!(decode.class, 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdmissionRequest {
    /// How many bytes.
    pub bytes: Bytes,
    /// The higher, the earlier it is served under [`Fairness::Priority`].
    pub class: u8,
}

impl AdmissionRequest {
    /// A request for `bytes` in class 0.
    #[must_use]
    pub const fn new(bytes: Bytes) -> AdmissionRequest {
        AdmissionRequest { bytes, class: 0 }
    }

    /// The same request in another class.
    #[must_use]
    pub const fn with_class(self, class: u8) -> AdmissionRequest {
        AdmissionRequest { class, ..self }
    }
}

impl From<Bytes> for AdmissionRequest {
    fn from(bytes: Bytes) -> AdmissionRequest {
        AdmissionRequest::new(bytes)
    }
}

impl From<u64> for AdmissionRequest {
    fn from(bytes: u64) -> AdmissionRequest {
        AdmissionRequest::new(Bytes(bytes))
    }
}

/// Where a waiter stands. The ticket is drawn once for each attempt to enter and never again: it makes places unique, so a
/// place that is no longer in the queue was served, and no other waiter can be mistaken for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    due: u64,
    /// How far the class lies below the highest: of two that are due at once the higher goes.
    below: u8,
    ticket: u64,
}

impl Fairness {
    pub(super) fn place(self, class: u8, ticket: u64) -> Place {
        match self {
            Fairness::Fifo | Fairness::Barging => Place { due: ticket, below: 0, ticket },
            Fairness::Priority { ageing } => {
                // As if it had arrived later by `ageing` for each class that it lies below the highest.
                let below = u8::MAX - class;
                Place { due: ticket.saturating_add(u64::from(below) * u64::from(ageing)), below, ticket }
            }
        }
    }

    pub(super) fn may_overtake(self) -> bool {
        self == Fairness::Barging
    }
}
