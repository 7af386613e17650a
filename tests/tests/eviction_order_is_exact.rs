//! B2, B3, B5, B7, B8, B10: victims come in the exact order of (priority, last use, id), and only those that may leave.
//! Not covered: what a manager does with them.

use crossbeam_epoch::pin;
use freehold_core::Bytes;
use freehold_core::eviction::{Rank, Victim, Victims};
use freehold_core::table::{Claim, Entry, Owner, Pin, Table};
use freehold_tests::eviction_twin::first_to_leave;
use proptest::prelude::*;

/// Priorities at the ends of the range and close together; ticks that tie often.
fn victim_parts() -> impl Strategy<Value = (i32, u64)> {
    let priority = prop_oneof![-2..3, Just(i32::MIN), Just(i32::MAX), any::<i32>()];
    (priority, prop_oneof![0_u64..8, any::<u64>()])
}

fn victims_of<'t>(entries: impl IntoIterator<Item = &'t Entry<u64>>) -> Vec<Victim> {
    let evictable = entries.into_iter().filter(|entry| entry.residency().snapshot().is_evictable());
    evictable.map(|entry| Victim { rank: entry.rank(), key: entry.key(), bytes: Bytes(*entry.payload()) }).collect()
}

fn bring(entry: &Entry<u64>) {
    assert_eq!(entry.residency().begin_materialise(), Claim::Won);
    assert!(!entry.residency().finish_materialise(0).wake);
}

proptest! {
    #[test]
    fn victims_come_in_exact_order(parts in prop::collection::vec((victim_parts(), 0_u8..8), 0..200)) {
        let table = Table::new(crossbeam_epoch::default_collector().clone());
        let owners: Vec<Owner<u64>> =
            parts.iter().map(|&((priority, tick), fate)| table.insert(priority, tick, fate.into())).collect();
        // Fate 0 stays absent, 1 is pinned, 2 is released while pinned, 3 is being evicted; the rest may leave.
        for (entry, &(_, fate)) in owners.iter().zip(&parts).filter(|(_, (_, fate))| *fate > 0) {
            bring(entry);
            if fate == 1 || fate == 2 {
                prop_assert_eq!(entry.residency().try_pin(), Pin::Pinned);
            }
            if fate == 2 {
                prop_assert!(!entry.residency().release().wake);
            }
            if fate == 3 {
                prop_assert_eq!(entry.residency().begin_evict(), Claim::Won);
            }
        }
        let guard = pin();
        let candidates = victims_of(table.iter(&guard));
        prop_assert!(candidates.iter().all(|victim| victim.bytes.get() > 3));

        let (expected, complete) = first_to_leave(candidates.clone(), 16);
        let victims = Victims::<16>::first_of(candidates.clone());
        prop_assert_eq!(victims.is_complete(), complete);
        prop_assert_eq!(victims.collect::<Vec<_>>(), expected);

        let (expected, complete) = first_to_leave(candidates.clone(), 64);
        let victims = Victims::gather(candidates.clone());
        prop_assert_eq!(victims.is_complete(), complete);
        prop_assert_eq!(victims.collect::<Vec<_>>(), expected);

        let (expected, _) = first_to_leave(candidates.clone(), 1);
        prop_assert_eq!(Victims::<1>::first_of(candidates).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn any_order_will_do(ranks in prop::collection::vec((-1_i32..2, any::<u64>()), 0..100)) {
        let table = Table::new(crossbeam_epoch::default_collector().clone());
        let owners: Vec<_> = ranks.iter().map(|_| table.insert(0, 0, ())).collect();
        // What is needed last leaves first.
        let orders = ranks.iter().map(|&(priority, next_use)| (priority, std::cmp::Reverse(next_use)));
        let candidates = owners.iter().zip(orders).map(|(entry, rank)| Victim { rank, key: entry.key(), bytes: Bytes(1) });
        let mut expected: Vec<_> = candidates.clone().map(|victim| (victim.rank, victim.key)).collect();
        expected.sort_unstable();
        expected.truncate(8);
        let taken: Vec<_> = Victims::<8, _>::first_of(candidates).map(|victim| (victim.rank, victim.key)).collect();
        prop_assert_eq!(taken, expected);
    }
}

#[test]
fn a_change_of_priority_or_use_counts_from_the_next_scan_on() {
    let table = Table::new(crossbeam_epoch::default_collector().clone());
    let [first, second] = [1, 2].map(|tick| table.insert(0, tick, tick));
    let order = || {
        let guard = pin();
        let candidates =
            table.iter(&guard).map(|entry| Victim { rank: entry.rank(), key: entry.key(), bytes: Bytes(1) });
        Victims::gather(candidates).map(|victim| victim.rank.id).collect::<Vec<_>>()
    };
    assert_eq!(order(), [0, 1], "the colder first");
    first.touch(3);
    assert_eq!(order(), [1, 0]);
    first.touch(1);
    assert_eq!(first.last_use(), 3, "a late note of an older use changes nothing");
    second.set_priority(i32::MAX);
    first.set_priority(i32::MIN);
    assert_eq!(order(), [0, 1]);
    assert_eq!(first.rank(), Rank { priority: i32::MIN, last_use: 3, id: 0 });
}
