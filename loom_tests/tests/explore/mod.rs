//! How a model runs: on loom's atomics, under every interleaving, of which there must be more than one. So none passes that
//! checked nothing.
#![allow(dead_code, unreachable_pub)] // Each model uses one of the two.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use loom::model::Builder;

/// Runs `model` under every interleaving; fails where loom is off, or saw only one. Gives the number it saw.
pub fn explore(model: impl Fn() + Send + Sync + 'static) -> usize {
    explore_by(Builder::new(), model)
}

/// The same with at most so many preemptions in one interleaving, for a model that would take minutes to the end.
pub fn explore_within(preemptions: usize, model: impl Fn() + Send + Sync + 'static) -> usize {
    let mut bounded = Builder::new();
    bounded.preemption_bound = Some(preemptions);
    explore_by(bounded, model)
}

fn explore_by(builder: Builder, model: impl Fn() + Send + Sync + 'static) -> usize {
    const {
        assert!(
            freehold_core_on_loom::LOOM,
            "these are the processor's atomics, not loom's: a model would check nothing"
        )
    };
    let explored = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&explored);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        model();
    });
    let explored = explored.load(Ordering::Relaxed);
    println!("explored {explored} interleavings");
    assert!(explored > 1, "one interleaving is no race");
    explored
}
