//! B11: next-use learns a plugin's cycle from its uses alone and then beats LRU, also where plugins take turns or rest; it
//! is LRU where it has learned nothing; a caller's order is obeyed; and priority is strict under each of them (B2).
//! Not covered: how close it comes to an offline policy on recorded traces (the command's `--policy offline`).

use std::sync::Arc;

use freehold_cuda::{Bytes, EntryFacts, EvictionOrder, Policy, VramHandle};
use freehold_tests::layers::{Card, LAYER, number};

/// Loads in the last 20 of 40 rounds of `play`.
fn loads_once_learned(policy: Policy, play: impl Fn(&Card) -> Box<dyn Fn(u64) + '_>) -> u64 {
    let card = Card::of(60, policy);
    let round = play(&card);
    (0..20).for_each(&round);
    let learned = card.manager.stats().loads;
    (20..40).for_each(&round);
    card.manager.stats().loads - learned
}

fn lru_and_next_use(play: impl Fn(&Card) -> Box<dyn Fn(u64) + '_>) -> (u64, u64) {
    (loads_once_learned(Policy::PriorityLru, &play), loads_once_learned(Policy::PriorityNextUse, &play))
}

#[test]
fn a_loop_larger_than_the_card_keeps_what_fits() {
    let (lru, next_use) = lru_and_next_use(|card| {
        let model = card.model(&card.manager.plugin("chat"), 80, 0);
        Box::new(move |_| card.step(&model))
    });
    assert_eq!(lru, 20 * 80, "each layer is gone when its turn comes: the worst case of LRU");
    // The best that can be: 60 of 80 stay, and one more goes round as the layer in use.
    assert!(next_use <= 20 * 22, "{next_use} loads; 20 layers a round do not fit");
}

#[test]
fn plugins_that_take_turns_keep_what_is_needed_first() {
    let (lru, next_use) = lru_and_next_use(|card| {
        let chat = card.model(&card.manager.plugin("chat"), 50, 0);
        let paint = card.model(&card.manager.plugin("paint"), 40, 0);
        Box::new(move |_| {
            card.step(&chat);
            card.step(&paint);
        })
    });
    assert_eq!(lru, 20 * 90);
    assert!(next_use <= 20 * 40, "{next_use} loads; 30 layers a round do not fit");
}

#[test]
fn plugins_side_by_side_keep_what_is_needed_first() {
    let (lru, next_use) = lru_and_next_use(|card| {
        let fast = card.model(&card.manager.plugin("fast"), 30, 0);
        let slow = card.model(&card.manager.plugin("slow"), 60, 0);
        Box::new(move |round| {
            for beat in 0..60_usize {
                card.access(&fast[beat % 30]);
                if beat % 4 == 0 {
                    let layer = (round as usize * 15 + beat / 4) % 60;
                    card.access(&slow[layer]);
                }
            }
        })
    });
    assert!(next_use < lru, "{next_use} loads, and {lru} by LRU: 15 of the slow model a round, half of which can stay");
}

#[test]
fn entries_used_once_leave_as_by_lru() {
    for policy in [Policy::PriorityLru, Policy::PriorityNextUse] {
        let card = Card::of(8, policy);
        let model = card.model(&card.manager.plugin("new"), 8, 0);
        card.step(&model);
        let order: Vec<u64> = card.manager.lru_order().iter().map(|candidate| candidate.id).collect();
        let by_age: Vec<u64> = model.iter().map(VramHandle::id).collect();
        assert_eq!(order, by_age, "nothing has come again yet");
    }
}

/// The lower layer leaves first: something neither built-in order would do.
#[derive(Debug)]
struct ByLabel;

impl EvictionOrder for ByLabel {
    fn score(&self, facts: &EntryFacts<'_>) -> u64 {
        number(facts.label).into()
    }
}

#[test]
fn a_callers_order_is_obeyed() {
    let card = Card::of(8, Policy::Custom(Arc::new(ByLabel)));
    let model = card.model(&card.manager.plugin("any"), 8, 0);
    model.iter().rev().for_each(|layer| card.access(layer));
    let gone = card.manager.evict_for_space(Bytes(2 * LAYER)).expect("nobody is pinned");
    let labels: Vec<&str> = gone.iter().map(|candidate| &*candidate.label).collect();
    assert_eq!(labels, ["layer 0", "layer 1"], "used last, and yet first to leave");
}

#[test]
fn priority_comes_before_any_prediction() {
    for policy in [Policy::PriorityLru, Policy::PriorityNextUse, Policy::Custom(Arc::new(ByLabel))] {
        let card = Card::of(8, policy);
        let (low, high) =
            (card.model(&card.manager.plugin("low"), 4, -1), card.model(&card.manager.plugin("high"), 4, i32::MAX));
        for _ in 0..5 {
            card.step(&high);
            card.step(&low);
        }
        let order: Vec<i32> = card.manager.lru_order().iter().map(|candidate| candidate.rank.priority).collect();
        assert_eq!(order, [-1, -1, -1, -1, i32::MAX, i32::MAX, i32::MAX, i32::MAX]);
    }
}
