//! Two threads allocate and free at once: some order of all they did, which keeps what each could see of the other, is one in
//! which the naive twin answers the same, "full" included. ("Full, in flight" says of itself that it knows no such moment; a
//! free of several words gives them back one after the other, and the twin may too.)
//! Each history says how many preemptions a schedule has at most: to the end they take hours.

mod explore;
mod history;

use explore::explore_within;
use history::Do::{self, Allocate, Free};
use history::{arrange, explained};

fn every_schedule_of(picture: &'static str, preemptions: usize, scripts: [&'static [Do]; 2]) {
    explore_within(preemptions, move || {
        let (world, [ours, theirs]) = arrange(picture);
        let other = world.clone();
        let second = loom::thread::spawn(move || theirs.run(&other, 1, scripts[1]));
        let first = ours.run(&world, 0, scripts[0]);
        let second = second.join().unwrap();
        assert!(explained(picture, [&first, &second]), "no order explains {first:#?} beside {second:#?}");
    });
}

#[test]
fn in_one_word() {
    every_schedule_of("....", 2, [&[Allocate(2), Free, Allocate(3)], &[Allocate(2), Allocate(1)]]);
}

#[test]
fn where_a_hole_moves() {
    every_schedule_of("a####b#.", 3, [&[Free, Allocate(1)], &[Allocate(1), Allocate(1)]]);
}

#[test]
fn where_a_unit_is_split_and_closed() {
    every_schedule_of("########....", 2, [&[Allocate(1), Free, Allocate(4)], &[Allocate(1), Allocate(2)]]);
}

#[test]
fn where_runs_span_words() {
    every_schedule_of("#aaaa#..", 3, [&[Free, Allocate(2)], &[Allocate(3), Free]]);
}
