//! What a caller of the table and the residency word can get wrong is a panic that says what, never a wrong answer.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crossbeam_epoch::{Collector, pin};
use freehold_core::table::{Claim, Pin, ResidencyWord, Table};

/// The message of the panic that `call` must raise.
fn panic_of<R>(call: impl FnOnce() -> R) -> String {
    let payload = catch_unwind(AssertUnwindSafe(call)).err().expect("a panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string)).expect("a message")
}

fn table() -> Table<u32> {
    Table::new(crossbeam_epoch::default_collector().clone())
}

#[test]
fn an_owner_of_another_table_is_named() {
    let (ours, theirs) = (table(), table());
    let message = panic_of(|| ours.retire(theirs.insert(0, 0, 1), &pin()));
    assert_eq!(message, "entry #0.1 is not of this table", "no slot of that index yet");
    let kept = ours.insert(0, 0, 2);
    let message = panic_of(|| ours.retire(theirs.insert(0, 0, 3), &pin()));
    assert_eq!(message, "entry #1.1 is not of this table", "and another entry's slot");
    assert_eq!((ours.len(), *kept.payload()), (1, 2), "nothing was taken");
}

#[test]
fn a_guard_of_another_collector_is_refused() {
    let table = table();
    let owner = table.insert(0, 0, 1);
    let stranger = Collector::new().register();
    let guard = stranger.pin();
    assert!(panic_of(|| table.get(owner.key(), &guard).is_some()).contains("another collector"));
    assert!(panic_of(|| table.iter(&guard).count()).contains("another collector"));
    assert!(panic_of(|| table.retire(owner, &guard)).contains("another collector"));
}

#[test]
fn a_pin_that_nobody_had_cannot_be_given_back() {
    assert!(panic_of(|| ResidencyWord::new().unpin()).contains("Absent with 0 pins"));
}

#[test]
fn a_claim_that_nobody_had_cannot_be_ended() {
    let word = ResidencyWord::new();
    assert!(panic_of(|| word.finish_materialise(1)).contains("the entry is Absent with 0 pins"));
    assert!(panic_of(|| word.fail_materialise()).contains("Absent"));
    assert!(panic_of(|| word.finish_evict()).contains("Absent"));
    assert!(panic_of(|| word.cancel_evict()).contains("Absent"));
    assert_eq!(word.begin_materialise(), Claim::Won);
    assert!(matches!(word.begin_materialise(), Claim::Lost(state) if state.is_busy()));
    let _ = word.finish_materialise(1);
    assert!(panic_of(|| word.finish_materialise(1)).contains("Resident with 1 pins"));
    assert_eq!(word.try_pin(), Pin::Pinned, "a misuse that was refused changed nothing");
    assert_eq!(word.snapshot().pins(), 2);
}
