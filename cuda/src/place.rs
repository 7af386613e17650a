//! Placing: a block for a request, charged, found and counted, without evicting anybody; and its mirror.
//!
//! A charge stands while a block is looked for, so for a moment it can hide bytes from others. Who is about to refuse
//! therefore asks whether such a search was under way, looks again, and is rung for when one ends that found nothing.

use crate::arena::Place;
use crate::arenas::NoGrowth;
use crate::budget::{Account, Charge};
use crate::inner::Inner;
use crate::observer::Event;
use crate::plugin::Plugin;
use crate::survey::Survey;
use crate::tenant::Tenant;
use freehold_core::{AllocateError, Bytes, Entry};
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

/// How often a buddy that says "full, but something is in flight" is asked again before anybody is evicted for it.
const IN_FLIGHT_RETRIES: usize = 3;

/// In `searches`: those under way are counted in ones, those that found nothing in these.
const FRUITLESS_SEARCH: u64 = 1 << 24;

/// What is wanted: a block, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    /// In whole granules.
    pub(crate) bytes: Bytes,
    pub(crate) align: Bytes,
    pub(crate) account: Option<&'a Account>,
    pub(crate) plugin: &'a Plugin,
    /// Who is of a higher priority stays.
    pub(crate) ceiling: i32,
}

/// Why there is no block.
#[derive(Clone, Copy, Debug, Default)]
struct Shortage {
    /// A stopped or slower thread may hide free space for a moment.
    in_flight: bool,
}

/// A charge for which a block is looked for. Dropped before it was found, also by a panic of the device below, the charge
/// is taken back.
struct Search<'s> {
    inner: &'s Inner,
    want: &'s Want<'s>,
    charge: Charge,
}

impl<'s> Search<'s> {
    fn begin(inner: &'s Inner, want: &'s Want<'s>) -> Option<Self> {
        let charge = inner.charge(want)?;
        inner.traffic.searches.fetch_add(1, SeqCst);
        Some(Search { inner, want, charge })
    }

    fn found(self) {
        self.inner.traffic.searches.fetch_sub(1, SeqCst);
        std::mem::forget(self);
    }
}

impl Drop for Search<'_> {
    fn drop(&mut self) {
        self.inner.credit(self.want, self.charge);
        self.inner.traffic.searches.fetch_add(FRUITLESS_SEARCH - 1, SeqCst);
        self.inner.ring_if_hidden();
    }
}

impl<'a> Want<'a> {
    pub(crate) fn of(inner: &Inner, entry: &'a Entry<Tenant>) -> Self {
        let tenant = entry.payload();
        Want {
            bytes: inner.reserved(tenant.bytes),
            align: tenant.align.max(Bytes(1)),
            account: tenant.account.as_ref(),
            plugin: &tenant.plugin,
            ceiling: inner.floor.ceiling(entry.priority()),
        }
    }

    /// Bytes that are no entry's, for which anybody leaves.
    pub(crate) fn unplaced(bytes: Bytes, plugin: &'a Plugin) -> Self {
        Want { bytes, align: Bytes(1), account: None, plugin, ceiling: i32::MAX }
    }
}

impl Inner {
    /// A block for `want` without evicting anybody: where the bytes suffice but not in one piece, blocks are moved.
    pub(crate) fn place_or_move(
        &self,
        want: &Want<'_>,
        survey: &mut Survey,
        told: &mut Vec<Event>,
        price: Bytes,
    ) -> Option<Place> {
        self.charged(want, |charge| {
            let found = self.find_patiently(want, charge).or_else(|| self.grow_for(want, charge));
            found.or_else(|| self.open_hole(want, charge, survey, told, price))
        })
    }

    /// A block for `want` without evicting or moving anybody.
    pub(crate) fn try_place(&self, want: &Want<'_>) -> Option<Place> {
        self.charged(want, |charge| self.find_patiently(want, charge))
    }

    /// A block in a new region, where the budget leaves room for one and the device agrees (E2: where it does not, room is
    /// made in the regions there are).
    fn grow_for(&self, want: &Want<'_>, charge: Charge) -> Option<Place> {
        if self.closed.load(Relaxed) {
            return None;
        }
        match self.arenas.grow(want.bytes, self.traffic.budget.limit()) {
            Ok(()) => self.find_patiently(want, charge),
            Err(NoGrowth::Spent) => None,
            Err(NoGrowth::Refused(error)) => {
                tracing::warn!(%error, "the device refused a region that the budget allows");
                None
            }
        }
    }

    /// A charge for a block that was not found hides bytes from others while it stands. Whoever was about to refuse meanwhile
    /// has said so, and is told to look again.
    fn ring_if_hidden(&self) {
        // SeqCst: pairs with the fence in `may_be_hidden`. Either the charge's end is seen there, or its mark here.
        fence(SeqCst);
        if self.hidden.load(Relaxed) && self.hidden.swap(false, Relaxed) {
            self.ring();
        }
    }

    /// What `nobody_searched_since` compares with.
    pub(crate) fn searches_so_far(&self) -> u64 {
        self.traffic.searches.load(SeqCst)
    }

    /// Whether no other request held a charge for a block that it may not find, neither now nor since `before`.
    pub(crate) fn nobody_searched_since(&self, before: u64) -> bool {
        before.is_multiple_of(FRUITLESS_SEARCH) && self.searches_so_far() == before
    }

    /// Marks that a refusal is near. What is looked at after this shows the end of every charge that does not see the mark.
    pub(crate) fn may_be_hidden(&self) {
        self.hidden.store(true, Relaxed);
        // SeqCst: pairs with the fence in `ring_if_hidden`.
        fence(SeqCst);
    }

    /// Charged, found, counted, in this order: no book ever shows more than its limit.
    fn charged(&self, want: &Want<'_>, find: impl FnOnce(Charge) -> Option<Place>) -> Option<Place> {
        let search = Search::begin(self, want)?;
        let place = find(search.charge)?;
        search.found();
        self.traffic.tally.resident.add(want.bytes.get());
        want.plugin.tally().resident.add(want.bytes.get());
        Some(place)
    }

    /// Asks the buddies, and asks again a few times where something in flight may hide what is free.
    fn find_patiently(&self, want: &Want<'_>, charge: Charge) -> Option<Place> {
        for _ in 0..IN_FLIGHT_RETRIES {
            match self.find(want, charge) {
                Ok(place) => return Some(place),
                Err(Shortage { in_flight: false }) => return None,
                Err(Shortage { in_flight: true }) => std::thread::yield_now(),
            }
        }
        None
    }

    fn find(&self, want: &Want<'_>, charge: Charge) -> Result<Place, Shortage> {
        let mut shortage = Shortage::default();
        for (index, arena) in self.arenas.iter() {
            match arena.allocate(want.bytes, want.align) {
                Ok(offset) => return Ok(Place { arena: index, offset, charge }),
                Err(AllocateError::Full { in_flight, .. }) => shortage.in_flight |= in_flight,
                Err(_) => {}
            }
        }
        Err(shortage)
    }

    /// Gives a block back: what was counted last is uncounted first, so that no book ever shows more than its limit.
    pub(crate) fn unplace(&self, want: &Want<'_>, place: Place) {
        want.plugin.tally().resident.sub(want.bytes.get());
        self.traffic.tally.resident.sub(want.bytes.get());
        self.arenas.at(place.arena).free(place.offset, want.bytes);
        self.credit(want, place.charge);
    }

    /// Charges the reservation where there is one and it has the bytes, else what everybody has.
    fn charge(&self, want: &Want<'_>) -> Option<Charge> {
        if want.account.is_some_and(|account| account.charge(want.bytes)) {
            return Some(Charge::Reservation);
        }
        self.traffic.budget.charge(want.bytes).then_some(Charge::Budget)
    }

    fn credit(&self, want: &Want<'_>, charge: Charge) {
        match (charge, want.account) {
            (Charge::Reservation, Some(account)) => account.credit(want.bytes),
            _ => self.traffic.budget.credit(want.bytes),
        }
    }
}
