//! The naive order of eviction: everything sorted, then cut.

use freehold_core::eviction::Victim;

/// The first `n` to leave, and whether they are all.
#[must_use]
pub fn first_to_leave(mut candidates: Vec<Victim>, n: usize) -> (Vec<Victim>, bool) {
    // Spelled out field by field, so that a change in the order of `Rank`'s fields does not change the twin too.
    candidates.sort_by(|a, b| {
        let by_priority = a.rank.priority.cmp(&b.rank.priority);
        by_priority.then(a.rank.last_use.cmp(&b.rank.last_use)).then(a.rank.id.cmp(&b.rank.id))
    });
    let complete = candidates.len() <= n;
    candidates.truncate(n);
    (candidates, complete)
}
