//! Advice: what would let a refused request in, found by supposing it and looking again.
//!
//! Nothing is guessed: each piece of advice is a supposition under which the same survey no longer refuses.

use super::refusal::{Advice, Why, set_aside};
use crate::inner::Inner;
use crate::place::Want;
use crate::suppose::Supposing;
use crate::survey::{Staying, Survey};
use crossbeam_epoch as epoch;
use freehold_core::{Bytes, HandleKey};
use std::sync::Arc;

/// How many single entries, and how many plugins, are tried at most.
const TRIALS: usize = 16;

/// Each trial looks at all that stays, and others may wait for their turn: no more blocks than these are looked at for one piece of advice.
const LOOKS: usize = 1 << 13;

/// One refusal, and what can be supposed about it.
struct Case<'a> {
    survey: &'a Survey,
    inner: &'a Inner,
    want: &'a Want<'a>,
}

/// What would help, the least first.
pub(super) fn of(survey: &Survey, inner: &Inner, want: &Want<'_>) -> Vec<Advice> {
    let case = Case { survey, inner, want };
    let advice = [
        case.wait(),
        case.allow_moves(),
        case.ask_with_priority(),
        case.unpin(),
        case.raise_spill_budget(),
        case.end_reservations(),
        case.raise_budget(),
        case.ask_for_less(),
    ];
    advice.into_iter().flatten().collect()
}

impl Case<'_> {
    fn fits(&self, gone: &dyn Fn(&Staying) -> bool) -> bool {
        let supposing = Supposing { gone, ..Supposing::nothing(self.inner) };
        self.survey.would_fit(self.inner, self.want, supposing)
    }

    fn trials(&self) -> usize {
        TRIALS.min(LOOKS / self.survey.staying.len().max(1))
    }

    /// Whether it is worth supposing anything about such blocks.
    fn any(&self, of: impl Fn(&Staying) -> bool) -> bool {
        self.survey.staying.iter().any(of)
    }

    fn sum(&self, of: impl Fn(&Staying) -> bool) -> Bytes {
        Bytes(self.survey.staying.iter().filter(|staying| of(staying)).map(|staying| staying.bytes().get()).sum())
    }

    fn wait(&self) -> Option<Advice> {
        let in_transit = |s: &Staying| s.leaves_unused && matches!(s.why, Why::Arriving | Why::Leaving);
        (self.any(in_transit) && self.fits(&in_transit)).then(|| Advice::Wait { bytes: self.sum(in_transit) })
    }

    fn allow_moves(&self) -> Option<Advice> {
        let supposing = Supposing { moves: true, ..Supposing::nothing(self.inner) };
        let helps = !self.inner.moves && self.survey.would_fit(self.inner, self.want, supposing);
        helps.then_some(Advice::AllowMoves)
    }

    /// The lowest priority with which enough would leave. More priority lets more leave, so it is found by halving.
    fn ask_with_priority(&self) -> Option<Advice> {
        let mut above: Vec<i32> = self.survey.staying.iter().filter_map(|s| s.outranks).collect();
        above.sort_unstable();
        above.dedup();
        let enough = |priority: i32| self.fits(&|s| s.outranks.is_some_and(|its| its <= priority));
        let &highest = above.last().filter(|&&highest| enough(highest))?;
        let lowest = above.partition_point(|&priority| !enough(priority));
        Some(Advice::AskWithPriority { priority: above.get(lowest).copied().unwrap_or(highest) })
    }

    /// The smallest entry whose unpinning is enough, else the plugin with the fewest pinned bytes, else all.
    fn unpin(&self) -> Option<Advice> {
        let pinned = |s: &Staying| s.leaves_unused && s.why == Why::Pinned;
        if !self.any(pinned) || !self.fits(&pinned) {
            return None;
        }
        let mut walls: Vec<&Staying> = self.survey.staying.iter().filter(|s| pinned(s)).collect();
        walls.sort_by_key(|wall| wall.bytes());
        self.unpin_one(&walls).or_else(|| self.unpin_plugin(&walls)).or_else(|| {
            let bytes = self.sum(pinned);
            Some(Advice::UnpinAll { plugin: None, bytes })
        })
    }

    fn unpin_one(&self, walls: &[&Staying]) -> Option<Advice> {
        let enough =
            walls.iter().take(self.trials()).find(|wall| self.fits(&|s| s.resident.key == wall.resident.key))?;
        let guard = epoch::pin();
        let tenant = self.inner.table.get(enough.resident.key, &guard)?.payload();
        let (plugin, label) = (tenant.plugin.shared_name(), tenant.label.shared());
        Some(Advice::Unpin { plugin, label, bytes: enough.bytes() })
    }

    fn unpin_plugin(&self, walls: &[&Staying]) -> Option<Advice> {
        let mut plugins: Vec<(Arc<str>, Bytes, Vec<HandleKey>)> = Vec::new();
        let guard = epoch::pin();
        for wall in walls {
            let plugin = self.inner.table.get(wall.resident.key, &guard)?.payload().plugin.shared_name();
            match plugins.iter_mut().find(|(name, ..)| *name == plugin) {
                Some((_, bytes, keys)) => {
                    *bytes = *bytes + wall.bytes();
                    keys.push(wall.resident.key);
                }
                None => plugins.push((plugin, wall.bytes(), vec![wall.resident.key])),
            }
        }
        plugins.sort_by_key(|(_, bytes, _)| *bytes);
        let enough = |(_, _, keys): &(Arc<str>, Bytes, Vec<HandleKey>)| self.fits(&|s| keys.contains(&s.resident.key));
        let (plugin, bytes, _) = plugins.into_iter().take(self.trials()).find(enough)?;
        Some(Advice::UnpinAll { plugin: Some(plugin), bytes })
    }

    fn raise_spill_budget(&self) -> Option<Advice> {
        let unspillable = |s: &Staying| s.why == Why::Unspillable;
        (self.any(unspillable) && self.fits(&unspillable))
            .then(|| Advice::RaiseSpillBudget { by: self.sum(unspillable) })
    }

    /// Where only what reservations hold and nobody uses is missing.
    fn end_reservations(&self) -> Option<Advice> {
        let Case { survey, inner, want } = self;
        let (bytes, now) = (survey.uncharged(inner, want), Supposing::nothing(inner));
        let enough = bytes > Bytes::ZERO && bytes <= set_aside(survey, inner);
        let placed = || survey.has_run(inner, want, now) || survey.can_grow(inner, want, now);
        (enough && placed()).then_some(Advice::EndReservations { bytes })
    }

    /// By what is missing to charge it; and where no run will do, by what is missing for a region of its own.
    fn raise_budget(&self) -> Option<Advice> {
        let Case { survey, inner, want } = self;
        let now = Supposing::nothing(inner);
        let mut by = survey.uncharged(inner, want).get();
        if !survey.has_run(inner, want, now) {
            if !survey.has_slot(inner, want, now) {
                return None;
            }
            by = by.max((survey.kept(inner, now) + want.bytes).get().saturating_sub(now.limit.get()));
        }
        let lent = inner.traffic.budget.whole() - now.limit;
        match Bytes(by) {
            Bytes::ZERO => None, // somebody was at work meanwhile
            bytes if bytes <= lent => Some(Advice::EndHandover { bytes }),
            by => Some(Advice::RaiseBudget { by }),
        }
    }

    fn ask_for_less(&self) -> Option<Advice> {
        let Case { survey, inner, want } = self;
        let now = Supposing::nothing(inner);
        let grown = now.limit.get().saturating_sub(survey.kept(inner, now).get());
        let run = survey.longest_run(inner, want, now).get().max(grown);
        let at_most = survey.chargeable(inner, want, now).get().min(run);
        let at_most = Bytes(at_most - at_most % inner.granule.get());
        (at_most > Bytes::ZERO && at_most < want.bytes).then_some(Advice::AskForLess { at_most })
    }
}
