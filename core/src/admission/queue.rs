//! Those who wait, in the order of their places: a persistent tree, so that the next queue shares all but a path of O(log waiters)
//! nodes with the one before. One who waits alone, the most common queue there is, stands in it without a node.

use rpds::RedBlackTreeMapSync;

use super::fairness::Place;
use super::ledger::Waiter;

/// A queue that is never changed: an operation makes the next one.
#[derive(Clone, Debug)]
pub(super) enum Queue {
    Nobody,
    One(Place, Waiter),
    Many(RedBlackTreeMapSync<Place, Waiter>),
}

impl Queue {
    pub(super) fn is_empty(&self) -> bool {
        matches!(self, Queue::Nobody)
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Queue::Nobody => 0,
            Queue::One(..) => 1,
            Queue::Many(tree) => tree.size(),
        }
    }

    pub(super) fn get(&self, place: Place) -> Option<&Waiter> {
        match self {
            Queue::One(only, waiter) => (*only == place).then_some(waiter),
            Queue::Many(tree) => tree.get(&place),
            Queue::Nobody => None,
        }
    }

    /// With this waiter, in place of whoever stood there.
    pub(super) fn with(&self, place: Place, waiter: Waiter) -> Queue {
        match self {
            Queue::Nobody => Queue::One(place, waiter),
            Queue::One(only, _) if *only == place => Queue::One(place, waiter),
            Queue::One(only, first) => {
                Queue::Many(RedBlackTreeMapSync::new_sync().insert(*only, first.clone()).insert(place, waiter))
            }
            Queue::Many(tree) => Queue::Many(tree.insert(place, waiter)),
        }
    }

    /// Without whoever stands at `place`.
    pub(super) fn without(&self, place: Place) -> Queue {
        match self {
            Queue::One(only, _) if *only == place => Queue::Nobody,
            Queue::Many(tree) => Queue::of(tree.remove(&place)),
            other => other.clone(),
        }
    }

    fn of(tree: RedBlackTreeMapSync<Place, Waiter>) -> Queue {
        if tree.is_empty() { Queue::Nobody } else { Queue::Many(tree) }
    }

    /// In the order of their places.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Place, &Waiter)> {
        let (one, many) = match self {
            Queue::Nobody => (None, None),
            Queue::One(place, waiter) => (Some((place, waiter)), None),
            Queue::Many(tree) => (None, Some(tree.iter())),
        };
        one.into_iter().chain(many.into_iter().flatten())
    }
}
