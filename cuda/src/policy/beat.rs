//! A beat: which use of its plugin was an entry's latest, and after how many such uses it had come again.
//!
//! Both fit one word, so that no reader ever sees half of a change. Counting in the plugin's own uses is what makes a beat
//! steady: a model goes through its layers in the same order, however long others keep it waiting in between.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// One entry's beat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Beat {
    /// The plugin's count at the latest use; counts begin at 1, and wrap.
    pub(crate) latest: u32,
    /// How many uses of the plugin lay between the latest two; 0 while there has been only one.
    pub(crate) interval: u32,
}

impl Beat {
    /// The beat after a use that was the plugin's `count`-th. Of several consumers in one instant two may draw one count.
    fn next(self, count: u32) -> Beat {
        Beat { latest: count, interval: count.wrapping_sub(self.latest) }
    }

    /// How many uses of the plugin remain until the entry's turn, where that is not past at the plugin's `count`-th.
    pub(crate) fn remaining(self, count: u32) -> Option<u32> {
        self.interval.checked_sub(self.age(count)).filter(|&remaining| remaining > 0)
    }

    /// How many uses of the plugin ago the latest was.
    pub(crate) fn age(self, count: u32) -> u32 {
        count.wrapping_sub(self.latest)
    }

    fn pack(self) -> u64 {
        u64::from(self.latest) << 32 | u64::from(self.interval)
    }

    fn unpack(word: u64) -> Beat {
        Beat { latest: (word >> 32) as u32, interval: word as u32 }
    }
}

/// Where an entry keeps its beat; zero until its first use.
#[derive(Debug, Default)]
pub(crate) struct BeatCell(AtomicU64);

impl BeatCell {
    /// The beat, once there was a use.
    pub(crate) fn get(&self) -> Option<Beat> {
        // Relaxed: a number that a survey compares; nothing is read on the strength of it.
        let word = self.0.load(Relaxed);
        (word != 0).then(|| Beat::unpack(word))
    }

    /// Notes a use, and returns the beat after it.
    pub(crate) fn note(&self, count: u32) -> Beat {
        let beat = self.get().map_or(Beat { latest: count, interval: 0 }, |beat| beat.next(count));
        // Relaxed, and no read-modify-write: two uses in one instant are one to us.
        self.0.store(beat.pack(), Relaxed);
        beat
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_comes_again_after_as_many_uses_as_last_time() {
        let cell = BeatCell::default();
        assert_eq!(cell.get(), None, "never used");
        assert_eq!(cell.note(5).remaining(6), None, "used once: no interval yet");
        let beat = cell.note(15);
        assert_eq!(beat.interval, 10);
        assert_eq!(beat.remaining(15), Some(10));
        assert_eq!(beat.remaining(24), Some(1));
        assert_eq!((beat.remaining(25), beat.age(25)), (None, 10), "its turn is past");
    }

    #[test]
    fn counts_that_wrap_around_change_nothing() {
        let cell = BeatCell::default();
        cell.note(u32::MAX - 3);
        assert_eq!(cell.note(6).interval, 10);
        assert_eq!(cell.get().map(|beat| beat.remaining(9)), Some(Some(7)));
    }
}
