//! Making room: a block for a request, evicting in exact order where it does not fit, or a refusal that evicted nobody.
//!
//! ```text
//!   place: try_place --fits--> done
//!            | does not fit: wait for the turn
//!            v
//!          survey (one scan): victims in order, what cannot leave, what could
//!            | cannot be satisfied even with every victim gone --> OutOfMemory, nobody evicted (E1)
//!            v
//!          evict the next victim, try_place, and where the free bytes now suffice but not in one piece, move blocks;
//!          until it fits, or the round is used up and a new survey is made
//! ```

use crate::arena::Place;
use crate::arenas::NoGrowth;
use crate::budget::{Account, Charge};
use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Event;
use crate::plugin::Plugin;
use crate::policy::Order;
use crate::survey::Survey;
use crate::tenant::Tenant;
use freehold_core::{AllocateError, Bytes, HandleKey, Rank, Victim};
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::fence;

/// How often a buddy that says "full, but something is in flight" is asked again before anybody is evicted for it.
const IN_FLIGHT_RETRIES: usize = 3;

/// How many bytes may be moved rather than evict one byte of the next victim. A copy inside a card is some 40 times cheaper
/// than an upload. On the recorded mix of six models at 0.8 of its memory, 10 uploads what exact byte counting does
/// (1.0000 x), 3 uploads 1.003 x, none at all 1.14 x; and without a price 40 times as many bytes are moved for nothing,
/// since the next victim would have left soon in any case.
const MOVE_PRICE: u64 = 10;

/// In `searches`: those under way are counted in ones, those that found nothing in these.
const FRUITLESS_SEARCH: u64 = 1 << 24;

/// How often a request that cannot be satisfied is looked at again before it is refused: others charge for blocks that
/// they do not find, and give the bytes back at once.
const LAST_LOOKS: usize = 3;

/// How many rounds may go by in which every victim was snatched from us (pinned, released) before it is called a refusal.
/// Each such round means that others made progress.
const FRUITLESS_ROUNDS: usize = 64;

/// What moving may copy before the next victim leaves instead. With no victim left, anything.
fn worth_moving(next: Option<&Victim<Order>>) -> Bytes {
    next.map_or(Bytes(u64::MAX), |victim| Bytes(victim.bytes.get().saturating_mul(MOVE_PRICE)))
}

/// What is wanted: a block, and for whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want<'a> {
    /// In whole granules.
    pub(crate) bytes: Bytes,
    pub(crate) align: Bytes,
    pub(crate) account: Option<&'a Account>,
    pub(crate) plugin: &'a Plugin,
}

/// One entry in the order of leaving.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Candidate {
    /// Its key in the manager's table.
    pub key: HandleKey,
    /// Its number.
    pub id: u64,
    /// Its label.
    pub label: Arc<str>,
    /// The size asked for.
    pub bytes: Bytes,
    /// Why it stands where it stands.
    pub rank: Rank,
}

/// Why there is no block.
#[derive(Clone, Copy, Debug, Default)]
struct Shortage {
    /// A stopped or slower thread may hide free space for a moment.
    in_flight: bool,
}

/// Somebody waits for room: what has been done for it so far.
#[derive(Debug, Default)]
struct Round {
    told: Vec<Event>,
    left: Vec<Candidate>,
}

impl<'a> Want<'a> {
    pub(crate) fn of(inner: &Inner, tenant: &'a Tenant) -> Self {
        Want {
            bytes: inner.reserved(tenant.bytes),
            align: tenant.align.max(Bytes(1)),
            account: tenant.account.as_ref(),
            plugin: &tenant.plugin,
        }
    }

    pub(crate) fn unplaced(bytes: Bytes, plugin: &'a Plugin) -> Self {
        Want { bytes, align: Bytes(1), account: None, plugin }
    }
}

impl Inner {
    /// A block for `want`. Where it fits, nobody is evicted (B1) and nobody waited for.
    pub(crate) fn place(&self, want: &Want<'_>) -> Result<Place, Error> {
        if let Some(place) = self.try_place(want) {
            return Ok(place);
        }
        self.in_turn(want, |round| self.make_room(want, round, |told, price| self.place_or_move(want, told, price)))
            .map(|(place, _)| place)
    }

    /// Evicts until a block for `bytes` would fit. The block itself is given back at once.
    pub(crate) fn evict_for_space(&self, bytes: Bytes) -> Result<Vec<Candidate>, Error> {
        if bytes == Bytes::ZERO {
            return Ok(Vec::new()); // A6: a block of no bytes is none, so there is nothing to try for.
        }
        let want = Want::unplaced(self.reserved(bytes), &self.nobody);
        let fits = |told: &mut Vec<Event>, price: Bytes| {
            self.place_or_move(&want, told, price).map(|place| self.unplace(&want, place))
        };
        self.in_turn(&want, |round| self.make_room(&want, round, fits)).map(|((), left)| left)
    }

    /// Evicts until `want` can be charged to the budget, wherever its bytes lie, and charges it.
    pub(crate) fn make_headroom(&self, want: &Want<'_>) -> Result<(), Error> {
        let charged = |_: &mut Vec<Event>, _: Bytes| self.budget.charge(want.bytes).then_some(());
        self.in_turn(want, |round| self.make_room(want, round, charged)).map(|((), _)| ())
    }

    /// Runs `work` while nobody else makes room, then tells the observer, with the turn given back.
    fn in_turn<T>(
        &self,
        want: &Want<'_>,
        work: impl FnOnce(&mut Round) -> Result<T, Error>,
    ) -> Result<(T, Vec<Candidate>), Error> {
        let mut round = Round::default();
        let turn = self.room.lock();
        let worked = work(&mut round);
        drop(turn);
        if worked.is_err() {
            self.tally.refusals.add(1);
            want.plugin.tally().refusals.add(1);
            round.told.push(Event::Refused { requested: want.bytes, plugin: want.plugin.shared_name() });
        }
        self.tell(&round.told);
        worked.map(|made| (made, round.left))
    }

    /// Evicts in order until `fits` succeeds. Each turn of the loop evicts somebody, or is counted as fruitless.
    fn make_room<T>(
        &self,
        want: &Want<'_>,
        round: &mut Round,
        fits: impl Fn(&mut Vec<Event>, Bytes) -> Option<T>,
    ) -> Result<T, Error> {
        let mut looks = 0;
        for _ in 0..FRUITLESS_ROUNDS {
            loop {
                let survey = Survey::take(self, want.account);
                let mut victims = survey.victims.clone().peekable();
                let evicted_before = round.left.len();
                if let Some(made) = fits(&mut round.told, worth_moving(victims.peek())) {
                    return Ok(made);
                }
                let before = self.searches.load(SeqCst);
                if let Err(refused) = survey.satisfiable(self, want) {
                    if looks == LAST_LOOKS || self.nobody_searched_since(before) {
                        return Err(refused);
                    }
                    // Another's charge for a block that it will not find may be all that is in the way.
                    looks += 1;
                    self.may_be_hidden();
                    std::thread::yield_now();
                    continue;
                }
                while let Some(victim) = victims.next() {
                    if self.evict(&victim, want, &mut round.told, &mut round.left)
                        && let Some(made) = fits(&mut round.told, worth_moving(victims.peek()))
                    {
                        return Ok(made);
                    }
                }
                if round.left.len() == evicted_before {
                    break;
                }
            }
            std::thread::yield_now();
        }
        Err(Survey::take(self, want.account).refusal(self, want))
    }

    /// A block for `want` without evicting anybody: where the bytes suffice but not in one piece, blocks are moved.
    fn place_or_move(&self, want: &Want<'_>, told: &mut Vec<Event>, price: Bytes) -> Option<Place> {
        self.charged(want, |charge| {
            let found = self.find_patiently(want, charge).or_else(|| self.grow_for(want, charge));
            found.or_else(|| self.open_hole(want, charge, told, price))
        })
    }

    /// A block for `want` without evicting or moving anybody.
    fn try_place(&self, want: &Want<'_>) -> Option<Place> {
        self.charged(want, |charge| self.find_patiently(want, charge))
    }

    /// A block in a new region, where the budget leaves room for one and the device agrees (E2: where it does not, room is
    /// made in the regions there are).
    fn grow_for(&self, want: &Want<'_>, charge: Charge) -> Option<Place> {
        if self.closed.load(Relaxed) {
            return None;
        }
        match self.arenas.grow(want.bytes, self.budget.limit()) {
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

    /// Whether no other request held a charge for a block that it may not find, neither now nor since `before`.
    fn nobody_searched_since(&self, before: u64) -> bool {
        before.is_multiple_of(FRUITLESS_SEARCH) && self.searches.load(SeqCst) == before
    }

    /// Marks that a refusal is near. What is looked at after this shows the end of every charge that does not see the mark.
    fn may_be_hidden(&self) {
        self.hidden.store(true, Relaxed);
        // SeqCst: pairs with the fence in `ring_if_hidden`.
        fence(SeqCst);
    }

    /// Charged, found, counted, in this order: no book ever shows more than its limit.
    fn charged(&self, want: &Want<'_>, find: impl FnOnce(Charge) -> Option<Place>) -> Option<Place> {
        let charge = self.charge(want)?;
        self.searches.fetch_add(1, SeqCst);
        let Some(place) = find(charge) else {
            self.credit(want, charge);
            self.searches.fetch_add(FRUITLESS_SEARCH - 1, SeqCst);
            self.ring_if_hidden();
            return None;
        };
        self.searches.fetch_sub(1, SeqCst);
        self.tally.resident.add(want.bytes.get());
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

    fn unplace(&self, want: &Want<'_>, place: Place) {
        want.plugin.tally().resident.sub(want.bytes.get());
        self.tally.resident.sub(want.bytes.get());
        self.arenas.at(place.arena).free(place.offset, want.bytes);
        self.credit(want, place.charge);
    }

    /// Charges the reservation where there is one and it has the bytes, else what everybody has.
    fn charge(&self, want: &Want<'_>) -> Option<Charge> {
        if want.account.is_some_and(|account| account.charge(want.bytes)) {
            return Some(Charge::Reservation);
        }
        self.budget.charge(want.bytes).then_some(Charge::Budget)
    }

    fn credit(&self, want: &Want<'_>, charge: Charge) {
        match (charge, want.account) {
            (Charge::Reservation, Some(account)) => account.credit(want.bytes),
            _ => self.budget.credit(want.bytes),
        }
    }
}
