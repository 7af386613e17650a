//! The example `engine_loop` runs on ordinary memory and on a card: every weight is right after the loop, nobody loses
//! memory, and no two streams race.
#![allow(dead_code, reason = "an example's own main, and what only it uses")]

#[path = "../examples/engine_loop/main.rs"]
mod engine_loop;

use clap::Parser;
use engine_loop::{Args, run};
use freehold_sim_control::{Live, Sim};

fn runs(device: &str) {
    let words = ["engine_loop", "--device", device, "--steps", "40", "--rounds", "2", "--period-us", "200"];
    for (name, measured) in run(&Args::parse_from(words)).expect("every weight is right") {
        assert_eq!((measured.steps, measured.access.len()), (80, 80 * 48), "{name} on {device}");
        assert_eq!(measured.allocate.len(), 80 * 3 + 20, "{name} on {device}");
        assert!(measured.loads >= 2 * 88, "{name} on {device}: every weight came in every round");
    }
}

#[test]
fn on_ordinary_memory() {
    runs("host");
}

#[test]
fn on_a_card_without_a_race() {
    let sim = Sim::free_running(5);
    runs("cuda:0");
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}
