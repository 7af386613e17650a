//! A plugin's rhythm: when its latest uses were, how fast it is, and whether it pauses at the same places of its cycle.
//!
//! An entry's beat says after how many uses of its plugin it is needed; the rhythm says how long those will take. Two
//! worlds must be told apart. Where plugins take turns, each pauses after every step of its cycle, and a cycle takes as
//! long as the one before: look one interval back, and read off how long the same stretch took. Where they run side by
//! side and rest at random, or come to turn at random, the pauses of the past say nothing, not even where each stands at
//! the end of a step: count the uses at the plugin's pace. So every pause, and every place where one was due, is compared
//! with what happened one interval before, and how long that took: that is the trust in repetition.

use super::beat::{Beat, BeatCell};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// How many uses are remembered: the longest interval that can be looked back. 64 KiB a plugin.
const REMEMBERED: usize = 8192;

/// Fractions of a tick in the pace: fine enough that its average does not get stuck.
const PACE_FRACTION: u32 = 16;

/// A gap of this many times the usual is a pause.
const PAUSE: u64 = 64;

/// No gap counts as longer, so that no arithmetic overflows: 18 minutes in nanoseconds, 7 in cycles.
const LONGEST_GAP: u64 = 1 << 40;

/// Trust of 1: every test of repetition was passed.
const FULL_TRUST: u32 = 1 << 16;

/// Two pauses are alike if neither is so many times as long as the other.
const ALIKE: u64 = 2;

/// Below this trust repetition is chance, and counts nothing.
const CHANCE: u32 = FULL_TRUST / 100 * 15;

/// From this trust on repetition alone counts: even plugins that take turns fail a test whenever a job comes or goes.
const CERTAINTY: u32 = FULL_TRUST / 100 * 35;

/// What a plugin begins with.
const FIRST_TRUST: u32 = FULL_TRUST / 100 * 30;

/// All words are Relaxed and written by plain stores: a survey only compares numbers, and of two uses in one instant one
/// may be lost. A reader that sees a count before its tick takes an old tick for the newest, once.
#[derive(Debug)]
pub(crate) struct Rhythm {
    count: AtomicU32,
    trust: AtomicU32,
    /// Ticks between two uses, pauses left out; scaled by `PACE_FRACTION`.
    pace: AtomicU64,
    /// The tick of the use with a given count, at the count modulo the length.
    ticks: Box<[AtomicU64; REMEMBERED]>,
}

impl Rhythm {
    pub(crate) fn new() -> Self {
        Rhythm {
            count: AtomicU32::new(0),
            trust: AtomicU32::new(FIRST_TRUST),
            pace: AtomicU64::new(1 << PACE_FRACTION),
            ticks: no_ticks(),
        }
    }

    /// Learns from a use at `tick` of the entry that keeps `beat`.
    pub(crate) fn note(&self, tick: u64, beat: &BeatCell) {
        let count = self.count.load(Relaxed).wrapping_add(1);
        let gap = gap(self.tick(count.wrapping_sub(1)), tick);
        self.ticks[count as usize % REMEMBERED].store(tick, Relaxed);
        self.count.store(count, Relaxed);
        let interval = beat.note(count).interval;
        let pace = self.learn_pace(gap);
        self.learn_trust(count, gap, interval, pace);
    }

    /// In how many ticks an entry with this beat is needed, where its turn is still to come.
    pub(crate) fn next_use(&self, beat: Beat, now: u64) -> Option<u64> {
        beat.remaining(self.count.load(Relaxed)).map(|_| self.predict(beat, now))
    }

    /// In how many ticks an entry with this beat is needed, as seen at `now`. One whose turn is past, or unknown, is taken
    /// to stay away as long again as it has been away.
    pub(crate) fn predict(&self, beat: Beat, now: u64) -> u64 {
        let count = self.count.load(Relaxed);
        let silent = now.saturating_sub(self.tick(count));
        let Some(remaining) = beat.remaining(count) else {
            return silent.saturating_add(self.at_pace(beat.age(count)));
        };
        let steady = silent.saturating_add(self.at_pace(remaining));
        match (self.weight(), self.repeated(beat, count, silent)) {
            (weight, Some(repeated)) if weight > 0.0 => blend(weight, repeated, steady),
            _ => steady,
        }
    }

    /// How much repetition counts, from 0 to 1.
    fn weight(&self) -> f64 {
        let above_chance = self.trust.load(Relaxed).clamp(CHANCE, CERTAINTY) - CHANCE;
        f64::from(above_chance) / f64::from(CERTAINTY - CHANCE)
    }

    /// How long it takes until the entry's turn if the plugin does as it did one interval ago: the rest of the pause that
    /// it is in, and the stretch from there. A pause that has outlasted its model lasts as long again.
    fn repeated(&self, beat: Beat, count: u32, silent: u64) -> Option<u64> {
        let then = self.looking_back(count, beat.interval)?.wrapping_add(1);
        let pause = self.gap(then);
        let rest = if pause > silent { pause - silent } else { silent };
        Some(rest.saturating_add(self.tick(beat.latest).saturating_sub(self.tick(then))))
    }

    /// The pace of the plugin while it runs: a moving average over some 256 uses, in which a pause counts as four.
    fn learn_pace(&self, gap: u64) -> u64 {
        let pace = self.pace.load(Relaxed);
        let seen = (gap << PACE_FRACTION).min(4 * pace + (1 << PACE_FRACTION));
        let pace = pace - pace / 256 + seen / 256;
        self.pace.store(pace, Relaxed);
        pace
    }

    /// A pause now or one interval ago is a test of repetition: passed, if both were, and alike. A moving average over some 8
    /// tests.
    fn learn_trust(&self, count: u32, gap: u64, interval: u32, pace: u64) {
        if interval == 0 {
            return;
        }
        let Some(then) = self.looking_back(count, interval) else { return };
        let line = (pace >> PACE_FRACTION).max(1).saturating_mul(PAUSE);
        if gap > line || self.gap(then) > line {
            self.test_repetition(count, then, gap, line);
        }
    }

    #[inline(never)]
    fn test_repetition(&self, count: u32, then: u32, gap: u64, line: u64) {
        let paused = |at: u32| self.gap(at) > line;
        let passed = if gap > line {
            // One use more or less in a cycle is the same place.
            [then, then.wrapping_sub(1), then.wrapping_add(1)].iter().any(|&at| paused(at) && alike(gap, self.gap(at)))
        } else if paused(count.wrapping_sub(1)) {
            return;
        } else {
            false
        };
        let trust = self.trust.load(Relaxed);
        self.trust.store(trust - trust / 8 + if passed { FULL_TRUST / 8 } else { 0 }, Relaxed);
    }

    /// The count one interval before `count`, if that is still remembered.
    fn looking_back(&self, count: u32, interval: u32) -> Option<u32> {
        ((interval as usize) < REMEMBERED - 2).then(|| count.wrapping_sub(interval))
    }

    fn at_pace(&self, uses: u32) -> u64 {
        self.pace.load(Relaxed).saturating_mul(u64::from(uses)) >> PACE_FRACTION
    }

    /// The ticks between a use and the one before.
    fn gap(&self, count: u32) -> u64 {
        gap(self.tick(count.wrapping_sub(1)), self.tick(count))
    }

    fn tick(&self, count: u32) -> u64 {
        self.ticks[count as usize % REMEMBERED].load(Relaxed)
    }
}

/// Made on the heap, not on a thread's small stack.
fn no_ticks() -> Box<[AtomicU64; REMEMBERED]> {
    let ticks: Box<[AtomicU64]> = (0..REMEMBERED).map(|_| AtomicU64::new(0)).collect();
    ticks.try_into().expect("as many as were made")
}

fn gap(earlier: u64, later: u64) -> u64 {
    later.saturating_sub(earlier).min(LONGEST_GAP)
}

fn alike(one: u64, other: u64) -> bool {
    one < ALIKE * other && other < ALIKE * one
}

/// The weighted harmonic mean: what may well be needed soon is kept, however late the other guess is.
fn blend(weight: f64, repeated: u64, steady: u64) -> u64 {
    (1.0 / (weight / repeated.max(1) as f64 + (1.0 - weight) / steady.max(1) as f64)).round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A plugin that goes through `entries` in a loop, and rests for `rest(cycle)` ticks after each round.
    fn play(cycles: u64, entries: usize, rest: impl Fn(u64) -> u64) -> (Rhythm, Vec<BeatCell>, u64) {
        let (rhythm, beats) = (Rhythm::new(), (0..entries).map(|_| BeatCell::default()).collect::<Vec<_>>());
        let mut tick = 0;
        for cycle in 0..cycles {
            for beat in &beats {
                tick += 1;
                rhythm.note(tick, beat);
            }
            tick += rest(cycle);
        }
        (rhythm, beats, tick)
    }

    fn predicted(rhythm: &Rhythm, beat: &BeatCell, now: u64) -> u64 {
        rhythm.predict(beat.get().expect("used before"), now)
    }

    #[test]
    fn a_loop_without_rest_is_predicted_to_the_tick() {
        let (rhythm, beats, now) = play(10, 100, |_| 0);
        assert_eq!(predicted(&rhythm, &beats[0], now), 1, "next of all");
        assert_eq!(predicted(&rhythm, &beats[40], now), 41);
        assert_eq!(predicted(&rhythm, &beats[99], now), 100, "just used: last of all");
    }

    #[test]
    fn a_pause_that_repeats_is_expected_again() {
        let (rhythm, beats, now) = play(30, 100, |_| 5000);
        let at_rest = now - 4000;
        assert_eq!(predicted(&rhythm, &beats[0], at_rest), 4001, "the rest of the pause, and one");
        assert_eq!(predicted(&rhythm, &beats[49], at_rest), 4050);
    }

    #[test]
    fn a_pause_out_of_rhythm_is_forgotten_when_the_work_goes_on() {
        let (rhythm, beats, tick) = play(100, 100, |cycle| if cycle % 10 == 9 { 5000 } else { 0 });
        let (rhythm_steady, beats_steady, now_steady) = play(100, 100, |_| 0);
        rhythm.note(tick + 1, &beats[0]);
        rhythm_steady.note(now_steady + 1, &beats_steady[0]);
        let (with, without) =
            (predicted(&rhythm, &beats[99], tick + 1), predicted(&rhythm_steady, &beats_steady[99], now_steady + 1));
        assert!(
            with < 3 * without,
            "{with} ticks where it would be {without} without pauses: a rest is not expected now"
        );
    }

    #[test]
    fn one_past_its_turn_stays_away_as_long_again() {
        let (rhythm, beats, mut now) = play(5, 10, |_| 0);
        for _ in 0..20 {
            for beat in &beats[..5] {
                now += 1;
                rhythm.note(now, beat);
            }
        }
        assert_eq!(predicted(&rhythm, &beats[9], now), 100, "100 uses ago, at one tick each");
        assert_eq!(predicted(&rhythm, &beats[9], now + 50), 150);
    }

    #[test]
    fn a_clock_of_any_step_overflows_nothing() {
        let (rhythm, beat) = (Rhythm::new(), BeatCell::default());
        for tick in [1, u64::MAX / 2, u64::MAX - 1, 7, u64::MAX] {
            rhythm.note(tick, &beat);
            rhythm.note(tick, &beat);
            assert!(rhythm.predict(beat.get().expect("used"), tick) <= LONGEST_GAP, "no more than one gap away");
        }
    }
}
