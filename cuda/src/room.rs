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
use crate::error::Error;
use crate::inner::Inner;
use crate::observer::Event;
use crate::place::Want;
use crate::policy::Order;
use crate::survey::Survey;
use freehold_core::{Bytes, HandleKey, Rank, Victim};
use std::sync::Arc;

/// How many bytes may be moved rather than evict one byte of the next victim. A copy inside a card is some 40 times cheaper
/// than an upload. On the recorded mix of six models at 0.8 of its memory, simulated, 10 uploads what exact byte counting does
/// (1.0000 x), 3 uploads 1.003 x, none at all 1.14 x; and without a price 40 times as many bytes are moved for nothing,
/// since the next victim would have left soon in any case.
const MOVE_PRICE: u64 = 10;

/// How often a request that cannot be satisfied is looked at again before it is refused: others charge for blocks that
/// they do not find, and give the bytes back at once.
const LAST_LOOKS: usize = 3;

/// How many rounds may go by in which every victim was snatched from us (pinned, released) before it is called a refusal.
/// Each such round means that others made progress.
const FRUITLESS_ROUNDS: usize = 64;

/// What moving may copy before a victim of so many bytes leaves instead.
pub(crate) fn worth_moving(victim: Bytes) -> Bytes {
    Bytes(victim.get().saturating_mul(MOVE_PRICE))
}

/// With no victim left, anything is worth it.
fn worth_moving_before(next: Option<&Victim<Order>>) -> Bytes {
    next.map_or(Bytes(u64::MAX), |victim| worth_moving(victim.bytes))
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

/// Somebody waits for room: what has been done for it so far.
#[derive(Debug, Default)]
struct Round {
    told: Vec<Event>,
    left: Vec<Candidate>,
}

impl Inner {
    /// A block for `want`. Where it fits, nobody is evicted (B1) and nobody waited for.
    pub(crate) fn place(&self, want: &Want<'_>) -> Result<Place, Error> {
        if let Some(place) = self.try_place(want) {
            return Ok(place);
        }
        self.in_turn(want, |round| {
            self.make_room(want, round, |survey, told, price| self.place_or_move(want, survey, told, price))
        })
        .map(|(place, _)| place)
    }

    /// Evicts until a block for `bytes` would fit. The block itself is given back at once.
    pub(crate) fn evict_for_space(&self, bytes: Bytes) -> Result<Vec<Candidate>, Error> {
        if bytes == Bytes::ZERO {
            return Ok(Vec::new()); // A6: a block of no bytes is none, so there is nothing to try for.
        }
        let want = Want::unplaced(self.reserved(bytes), &self.nobody);
        let fits = |survey: &mut Survey, told: &mut Vec<Event>, price: Bytes| {
            self.place_or_move(&want, survey, told, price).map(|place| self.unplace(&want, place))
        };
        self.in_turn(&want, |round| self.make_room(&want, round, fits)).map(|((), left)| left)
    }

    /// Evicts until `want` can be charged to the budget, wherever its bytes lie, and charges it.
    pub(crate) fn make_headroom(&self, want: &Want<'_>) -> Result<(), Error> {
        let charged =
            |_: &mut Survey, _: &mut Vec<Event>, _: Bytes| self.traffic.budget.charge(want.bytes).then_some(());
        self.in_turn(want, |round| self.make_room(want, round, charged)).map(|((), _)| ())
    }

    /// Runs `work` while nobody else makes room, then tells the observer, with the turn given back.
    fn in_turn<T>(
        &self,
        want: &Want<'_>,
        work: impl FnOnce(&mut Round) -> Result<T, Error>,
    ) -> Result<(T, Vec<Candidate>), Error> {
        let mut round = Round::default();
        let span =
            tracing::debug_span!("make_room", requested = want.bytes.get(), plugin = want.plugin.name()).entered();
        let turn = self.room.lock();
        let worked = work(&mut round);
        drop(turn);
        drop(span);
        if worked.is_err() {
            round.told.push(self.saw_refused(want.bytes, want.plugin));
        }
        self.observed.look();
        self.tell(&round.told);
        worked.map(|made| (made, round.left))
    }

    /// Evicts in order until `fits` succeeds. Each turn of the loop evicts somebody, or is counted as fruitless.
    fn make_room<T>(
        &self,
        want: &Want<'_>,
        round: &mut Round,
        fits: impl Fn(&mut Survey, &mut Vec<Event>, Bytes) -> Option<T>,
    ) -> Result<T, Error> {
        let mut looks = 0;
        for _ in 0..FRUITLESS_ROUNDS {
            loop {
                let mut survey = Survey::take(self, want.account, want.ceiling);
                let mut victims = survey.victims.clone().peekable();
                let evicted_before = round.left.len();
                if let Some(made) = fits(&mut survey, &mut round.told, worth_moving_before(victims.peek())) {
                    return Ok(made);
                }
                let before = self.searches_so_far();
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
                    if !self.evict(&victim, want, &mut round.told, &mut round.left) {
                        continue;
                    }
                    survey.left(victim.key);
                    if let Some(made) = fits(&mut survey, &mut round.told, worth_moving_before(victims.peek())) {
                        return Ok(made);
                    }
                }
                if round.left.len() == evicted_before {
                    break;
                }
            }
            std::thread::yield_now();
        }
        Err(Survey::take(self, want.account, want.ceiling).refusal(self, want))
    }
}
