//! Sums of what may leave: by whose charge it is, since only that can be charged anew, and by priority, for who is refused.

use crate::budget::{Account, Charge};
use crate::observe::refusal::EvictableAt;
use crate::tenant::Tenant;
use freehold_core::Bytes;

/// Bytes that may leave.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Evictable {
    /// Charged to the budget.
    pub(crate) budget: u64,
    /// Charged to the reservation that the request draws from.
    pub(crate) account: u64,
    /// Charged to others: evicting them makes room, and lets nobody else be charged.
    pub(crate) others: u64,
}

/// Priorities told apart: what has yet another one is counted with the last.
const PRIORITIES: usize = 32;

impl Evictable {
    pub(super) fn add(&mut self, tenant: &Tenant, bytes: Bytes, account: Option<&Account>) {
        let charge = tenant.place.get().map_or(Charge::Budget, |place| place.charge);
        let whose = match (charge, account) {
            (Charge::Budget, _) => &mut self.budget,
            (Charge::Reservation, Some(own)) if tenant.account.as_ref().is_some_and(|its| its.is(own)) => {
                &mut self.account
            }
            (Charge::Reservation, _) => &mut self.others,
        };
        *whose += bytes.get();
    }

    pub(crate) fn sum(self) -> Bytes {
        Bytes(self.budget + self.account + self.others)
    }

    /// Of those, what is charged to reservations.
    pub(crate) fn reserved(self) -> u64 {
        self.account + self.others
    }
}

impl EvictableAt {
    pub(super) fn add(sums: &mut Vec<EvictableAt>, priority: i32, bytes: Bytes) {
        let at = match sums.iter().position(|sum| sum.priority == priority) {
            Some(at) => at,
            None if sums.len() == PRIORITIES => PRIORITIES - 1,
            None => {
                sums.push(EvictableAt { priority, entries: 0, bytes: Bytes::ZERO });
                sums.len() - 1
            }
        };
        sums[at].entries += 1;
        sums[at].bytes = sums[at].bytes + bytes;
    }
}
