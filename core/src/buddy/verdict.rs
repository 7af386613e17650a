//! Out of memory is a verdict, not a race: a search that found nothing asks whether something was hidden from it.
//!
//! Three schedules lie to a naive search: a group being closed (zero below, its token not yet above), a unit being split
//! (claimed above, the rest not yet published below), and a hole that moves behind the search (freed where it has been,
//! taken where it has not). In all three some slot's sequence changes, or shows an open section:
//!
//! | sequences before and after the search | verdict |
//! | --- | --- |
//! | different | something completed meanwhile: search again |
//! | equal, no section open | exact: there was a moment in this call without such a hole |
//! | equal, some section open | full for now, `in_flight`: that section may hide the hole, and nobody waits for it |
//!
//! A thread stopped for good inside a section makes later verdicts `in_flight`; what it hides is at most the
//! top-level units at both ends of its run, beside the run itself. Progress: lock-free, and bounded besides: after [`ROUNDS`] searches, each made void by
//! somebody's success, the answer is full, `in_flight`.

use super::claim::{self, Denied};
use super::desk::Desk;
use super::geometry::{Need, Run};
use super::release::close_all;
use super::search::first_fit;
use super::slots::Slots;
use super::tree::Tree;

/// Searches before the answer is `in_flight`. Each void round was somebody else's success.
const ROUNDS: usize = 64;

/// No hole was found that is long enough.
#[derive(Clone, Copy, Debug)]
pub(super) struct Full {
    pub(super) in_flight: bool,
}

/// Claims the lowest hole that `need` fits into, or says that there is none.
pub(super) fn claim_or_refuse(tree: &Tree, slots: &Slots, need: Need, desk: Desk<'_>) -> Result<Run, Full> {
    for _ in 0..ROUNDS {
        let before = slots.changes(desk);
        if let Some(run) = search(tree, need, desk) {
            match claim::take(tree, run, &mut desk.section()) {
                Ok(()) => return Ok(run),
                Err(Denied::Taken) => {}
                Err(Denied::Scattered) => close_all(tree, run, &mut desk.section()),
            }
        } else if slots.changes(desk) == before {
            return Err(Full { in_flight: before.open > 0 });
        }
    }
    Err(Full { in_flight: true })
}

/// Clears marks on its way where the slot is its own: its section then is in nobody's way, its own verdict's least.
fn search(tree: &Tree, need: Need, desk: Desk<'_>) -> Option<Run> {
    first_fit(tree, need, 0, &mut desk.is_exclusive().then(|| desk.section()))
}
