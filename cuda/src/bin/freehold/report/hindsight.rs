//! Hindsight: which uploads could have been spared.
//!
//! An entry left, and came back. If all that while something of the same or a lower priority lay on the card that nobody
//! used, the wrong one left: had that gone instead, this upload was not needed, and none other was before now. Such an
//! upload is called needless. It is the exchange by which the offline policy is shown to be best (Belady), asked afterwards;
//! sizes and places are left out of account.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// What an upload was for: the index of its sum in a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Upload {
    /// The first of its entry.
    First = 0,
    /// It had left and came back.
    Again = 1,
    /// The same, while something else lay unused all the time.
    Needless = 2,
}

/// One weight.
#[derive(Clone, Debug, Default)]
pub(super) struct Weight {
    pub(super) label: Arc<str>,
    pub(super) plugin: Arc<str>,
    pub(super) bytes: u64,
    pub(super) uploads: u64,
    pub(super) needless: u64,
    /// The fewest events it was ever away for, where it came back at all.
    pub(super) shortest: Option<u64>,
    priority: i32,
    last_use: u64,
    left: Option<u64>,
    resident: bool,
}

/// All weights, and those on the card by priority and last use.
#[derive(Debug, Default)]
pub(super) struct Hindsight {
    weights: HashMap<u64, Weight>,
    resident: BTreeMap<i32, BTreeSet<(u64, u64)>>,
    /// Priority and last use of those that left just now: whoever makes room for what comes back was there until then.
    just_left: (u64, Vec<(i32, u64)>),
}

impl Hindsight {
    /// A weight became known, or its priority changed.
    pub(super) fn know(&mut self, id: u64, label: &Arc<str>, priority: i32) {
        self.change(id, |weight| {
            weight.label = Arc::clone(label);
            weight.priority = priority;
        });
    }

    /// Somebody used it.
    pub(super) fn used(&mut self, id: u64, now: u64) {
        self.change(id, |weight| weight.last_use = now);
    }

    /// It lost its memory to make room.
    pub(super) fn evicted(&mut self, id: u64, now: u64) {
        if self.just_left.0 != now {
            self.just_left = (now, Vec::new());
        }
        if let Some(weight) = self.weights.get(&id) {
            self.just_left.1.push((weight.priority, weight.last_use));
        }
        self.change(id, |weight| (weight.resident, weight.left) = (false, Some(now)));
    }

    /// It is gone for good. What it cost is remembered.
    pub(super) fn gone(&mut self, id: u64) {
        self.change(id, |weight| weight.resident = false);
    }

    /// Its bytes came. Says what for.
    pub(super) fn loaded(&mut self, id: u64, bytes: u64, plugin: &Arc<str>, now: u64) -> Upload {
        let before = self.weights.get(&id);
        let upload = match before.and_then(|weight| Some((weight.left?, weight.priority))) {
            None => Upload::First,
            Some((left, priority)) if self.slept(left, priority, now) => Upload::Needless,
            Some(_) => Upload::Again,
        };
        self.change(id, |weight| {
            let away = weight.left.map(|left| now.saturating_sub(left));
            weight.shortest = weight.shortest.min(away).or(away);
            weight.uploads += 1;
            weight.needless += u64::from(upload == Upload::Needless);
            (weight.bytes, weight.plugin, weight.resident, weight.last_use) = (bytes, Arc::clone(plugin), true, now);
        });
        upload
    }

    /// The weights that cost most, the most needless bytes first.
    pub(super) fn dearest(&self, most: usize) -> Vec<&Weight> {
        let mut again: Vec<(&u64, &Weight)> = self.weights.iter().filter(|(_, weight)| weight.uploads > 1).collect();
        let cost = |weight: &Weight| (weight.needless * weight.bytes, weight.uploads * weight.bytes);
        again.sort_by_key(|&(&id, weight)| (std::cmp::Reverse(cost(weight)), id));
        again.into_iter().take(most).map(|(_, weight)| weight).collect()
    }

    /// Whether something of at most this priority was on the card until now that was last used before `then`.
    fn slept(&self, then: u64, priority: i32, now: u64) -> bool {
        let lower = self.resident.range(..=priority).filter_map(|(_, weights)| weights.first());
        let (left_at, just_left) = &self.just_left;
        let gone = just_left.iter().filter(|(other, _)| *left_at == now && *other <= priority);
        lower.map(|&(last_use, _)| last_use).chain(gone.map(|&(_, last_use)| last_use)).any(|last_use| last_use < then)
    }

    /// Changes a weight, and keeps the order of those on the card right.
    fn change(&mut self, id: u64, change: impl FnOnce(&mut Weight)) {
        let weight = self.weights.entry(id).or_default();
        let before = (weight.resident, weight.priority, weight.last_use);
        change(weight);
        let after = (weight.resident, weight.priority, weight.last_use);
        if before == after {
            return;
        }
        if let (true, priority, last_use) = before
            && let Some(weights) = self.resident.get_mut(&priority)
        {
            weights.remove(&(last_use, id));
        }
        if let (true, priority, last_use) = after {
            self.resident.entry(priority).or_default().insert((last_use, id));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A card that holds two weights of one byte, and the order in which they are used.
    fn replay(uses: &[u64], leaves_first: impl Fn(&[u64]) -> usize) -> Vec<Upload> {
        let (mut hindsight, mut on_card, mut uploads) = (Hindsight::default(), Vec::new(), Vec::new());
        for (now, &id) in (1..).zip(uses) {
            if !on_card.contains(&id) {
                if on_card.len() == 2 {
                    hindsight.evicted(on_card.remove(leaves_first(&on_card)), now);
                }
                uploads.push(hindsight.loaded(id, 1, &Arc::from("plugin"), now));
                on_card.push(id);
            }
            hindsight.used(id, now);
            on_card.retain(|&other| other != id);
            on_card.push(id);
        }
        uploads
    }

    #[test]
    fn a_loop_larger_than_the_card_is_needless_under_lru_and_not_where_the_newest_leaves() {
        use Upload::{Again, First, Needless};
        let uses = [1, 2, 3, 1, 2, 3];
        assert_eq!(replay(&uses, |_| 0), [First, First, First, Needless, Needless, Needless]);
        // 1 stays, so it is not uploaded again; 2 and 3 share what is left.
        assert_eq!(replay(&uses, |on_card| on_card.len() - 1), [First, First, First, Again]);
    }

    #[test]
    fn what_slept_counts_only_up_to_the_priority_of_what_came_back() {
        let name = Arc::from("");
        let came_back = |sleeper: i32| {
            let mut hindsight = Hindsight::default();
            hindsight.know(1, &name, 0);
            hindsight.know(2, &name, sleeper);
            hindsight.loaded(2, 1, &name, 1);
            hindsight.loaded(1, 1, &name, 2);
            hindsight.evicted(1, 3);
            hindsight.loaded(1, 1, &name, 4)
        };
        assert_eq!([-1, 0, 1].map(came_back), [Upload::Needless, Upload::Needless, Upload::Again]);
    }

    #[test]
    fn what_is_gone_cannot_have_slept() {
        let (mut hindsight, name) = (Hindsight::default(), Arc::from(""));
        hindsight.loaded(1, 1, &name, 1);
        hindsight.loaded(2, 1, &name, 2);
        hindsight.evicted(2, 3);
        hindsight.gone(1);
        assert_eq!(hindsight.loaded(2, 1, &name, 4), Upload::Again);
    }
}
