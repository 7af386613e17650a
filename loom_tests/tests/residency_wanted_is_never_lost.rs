//! A thread is between "still pinned" and asleep while the last pin goes: were the wake-up lost it would sleep for ever, and
//! were the hand-over not ordered the waker would not see whom to wake.

mod explore;
mod memory;

use explore::explore;
use freehold_core_on_loom::table::{Claim, FollowUp, Pin, ResidencyWord, Want};
use loom::sync::{Arc, Notify};
use memory::Memory;

#[derive(Default)]
struct Entry {
    word: ResidencyWord,
    /// What the waiter leaves for its waker.
    registration: Memory,
    bell: Bell,
}

struct Bell(Notify);

impl Default for Bell {
    fn default() -> Self {
        Bell(Notify::new())
    }
}

impl Entry {
    fn follow(&self, after: FollowUp) {
        if after.wake {
            assert_eq!(self.registration.read(), 1);
            self.bell.0.notify();
        }
    }
}

#[test]
fn who_waits_for_the_last_unpin_is_woken() {
    explore(|| {
        let entry = Arc::new(Entry::default());
        assert_eq!(entry.word.begin_materialise(), Claim::Won);
        let _ = entry.word.finish_materialise(1);

        let holder = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || entry.follow(entry.word.unpin())
        });
        entry.registration.write(1);
        while entry.word.want_unpinned() == Want::Wait {
            entry.bell.0.wait();
        }
        holder.join().unwrap();
        assert_eq!(entry.word.snapshot().pins(), 0);
    });
}

#[test]
fn of_two_last_unpins_one_wakes() {
    explore(|| {
        let word = Arc::new(ResidencyWord::new());
        assert_eq!(word.begin_materialise(), Claim::Won);
        let _ = word.finish_materialise(1);
        assert_eq!(word.want_unpinned(), Want::Wait);

        let holder = loom::thread::spawn({
            let word = Arc::clone(&word);
            move || word.unpin().wake
        });
        assert_eq!(word.try_pin(), Pin::Pinned);
        let ours = word.unpin().wake;
        assert_eq!(u32::from(ours) + u32::from(holder.join().unwrap()), 1);
    });
}

#[test]
fn who_waits_for_the_thread_at_work_is_woken() {
    explore(|| {
        let entry = Arc::new(Entry::default());
        assert_eq!(entry.word.begin_materialise(), Claim::Won);

        let worker = loom::thread::spawn({
            let entry = Arc::clone(&entry);
            move || entry.follow(entry.word.finish_materialise(0))
        });
        entry.registration.write(1);
        while let Pin::Busy(_) = entry.word.try_pin() {
            if entry.word.want() == Want::Wait {
                entry.bell.0.wait();
            }
        }
        assert_eq!(entry.word.snapshot().pins(), 1, "resident, and ours");
        worker.join().unwrap();
    });
}
