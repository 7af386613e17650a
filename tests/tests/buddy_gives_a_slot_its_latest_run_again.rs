//! What a slot's owner freed last comes back for the next request that it serves, and the books are exact at every step: also where
//! another takes it in between, where its block is freed elsewhere, where it is freed twice, and where the slot changes owners.
//!
//! Not covered here: what threads see of each other (models `buddy_latest_run_*` and `buddy_verdict_sees_the_latest_run_*`).

use freehold_core::{Block, Buddy, Bytes, FreeError, Geometry, Offset, Request, Slot};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

const GRANULE: u64 = 512;

fn arena() -> Buddy {
    Buddy::with_slots(Geometry::new(Bytes(4 << 20), Bytes(GRANULE)).unwrap(), 2)
}

fn request(bytes: u64) -> Request {
    Request::new(Bytes(bytes))
}

/// The books, read two ways.
fn has_taken(buddy: &Buddy, taken: u64) {
    assert_eq!(buddy.free_bytes(), Bytes(buddy.capacity().get() - taken));
    assert_eq!(buddy.audit().unwrap().allocated, Bytes(taken));
}

fn twin(block: &Block) -> Block {
    Block::from_parts(block.offset(), block.bytes())
}

/// A slot whose latest run lies between two blocks that stay, so that no other hole is as good.
fn with_latest(buddy: &Buddy, granules: u64) -> (Slot<'_>, Offset) {
    let mut slot = buddy.slot(0).unwrap();
    let [_before, between, _behind] =
        [1, granules, 1].map(|granules| slot.allocate(request(granules * GRANULE)).unwrap());
    let offset = between.offset();
    slot.free(between);
    has_taken(buddy, 2 * GRANULE);
    (slot, offset)
}

#[test]
fn for_every_size_that_reserves_as_much() {
    // In one word, over two, a whole unit of 64, and several of them.
    for granules in [1, 5, 62, 63, 100, 64, 192, 4096] {
        let buddy = arena();
        let (mut slot, offset) = with_latest(&buddy, granules);
        for bytes in [granules * GRANULE, granules * GRANULE - GRANULE + 1, granules * GRANULE - 1] {
            let block = slot.allocate(request(bytes)).unwrap();
            assert_eq!((block.offset(), block.bytes()), (offset, Bytes(bytes)), "{granules} granules");
            has_taken(&buddy, (granules + 2) * GRANULE);
            slot.free(block);
            has_taken(&buddy, 2 * GRANULE);
        }
        for bytes in [granules * GRANULE + 1, (granules - 1) * GRANULE] {
            let other = slot.allocate(request(bytes)).ok();
            assert!(other.is_none_or(
                |other| buddy.geometry().reserved(other.bytes()) == buddy.geometry().reserved(Bytes(bytes))
            ));
        }
    }
}

#[test]
fn where_its_start_is_aligned_as_asked() {
    let buddy = arena();
    let mut slot = buddy.slot(0).unwrap();
    for (start, aligns) in [(GRANULE, [1, 256, GRANULE]), (8 * GRANULE, [1, GRANULE, 4096])] {
        let latest = slot.take(Offset(start), Bytes(8 * GRANULE)).unwrap();
        slot.free(latest);
        for align in aligns {
            let block = slot.allocate(request(8 * GRANULE).aligned(Bytes(align))).unwrap();
            assert_eq!(block.offset(), Offset(start));
            slot.free(block);
        }
    }
    let latest = slot.take(Offset(GRANULE), Bytes(8 * GRANULE)).unwrap();
    slot.free(latest);
    let block = slot.allocate(request(8 * GRANULE).aligned(Bytes(4096))).unwrap();
    assert!(block.offset().get().is_multiple_of(4096));
    has_taken(&buddy, 8 * GRANULE);
}

#[test]
fn unless_another_has_it() {
    let buddy = arena();
    let (mut slot, offset) = with_latest(&buddy, 8);
    let theirs = buddy.take(1, offset, Bytes(GRANULE)).unwrap();
    let ours = slot.allocate(request(8 * GRANULE)).unwrap();
    assert_ne!(ours.offset(), offset);
    has_taken(&buddy, 11 * GRANULE);
    buddy.free(1, theirs);
    slot.free(ours);
    has_taken(&buddy, 2 * GRANULE);
}

#[test]
fn also_after_it_was_freed_elsewhere() {
    let buddy = arena();
    let (mut slot, offset) = with_latest(&buddy, 8);
    for _ in 0..3 {
        let block = slot.allocate(request(8 * GRANULE)).unwrap();
        assert_eq!(block.offset(), offset);
        buddy.free(1, block);
        has_taken(&buddy, 2 * GRANULE);
        // Another block comes and goes meanwhile.
        let other = slot.allocate(request(3 * GRANULE)).unwrap();
        has_taken(&buddy, 5 * GRANULE);
        slot.free(other);
        let block = slot.allocate(request(8 * GRANULE)).unwrap();
        has_taken(&buddy, 10 * GRANULE);
        slot.free(block);
        has_taken(&buddy, 2 * GRANULE);
    }
}

#[test]
fn and_refuses_to_have_it_freed_twice() {
    for granules in [8, 64, 192] {
        let buddy = arena();
        let (mut slot, _) = with_latest(&buddy, granules);
        let block = slot.allocate(request(granules * GRANULE)).unwrap();
        let (second, third) = (twin(&block), twin(&block));
        slot.free(block);
        assert!(matches!(slot.try_free(second), Err(FreeError::AlreadyFree(_))), "{granules} granules");
        // Out again by the slot's own account, and free by another's hand.
        let block = slot.allocate(request(granules * GRANULE)).unwrap();
        buddy.free(1, block);
        assert!(matches!(slot.try_free(third), Err(FreeError::AlreadyFree(_))), "{granules} granules");
        has_taken(&buddy, 2 * GRANULE);
    }
}

#[test]
fn and_nothing_is_lost_when_the_slot_changes_owners() {
    let buddy = arena();
    let (mut slot, offset) = with_latest(&buddy, 8);
    drop(slot);
    has_taken(&buddy, 2 * GRANULE);
    slot = buddy.slot(0).unwrap();
    // It is in the ring now.
    let block = slot.allocate(request(8 * GRANULE)).unwrap();
    assert_eq!(block.offset(), offset);
    has_taken(&buddy, 10 * GRANULE);
    drop(slot);
    slot = buddy.slot(0).unwrap();
    slot.free(block);
    has_taken(&buddy, 2 * GRANULE);
    std::mem::forget(slot);
    has_taken(&buddy, 2 * GRANULE);
}

#[test]
fn as_its_groups_first_token_too() {
    let buddy = arena();
    let whole = buddy.take(0, Offset(0), buddy.capacity()).unwrap();
    // All is taken: one group of granules, and one of units of 64, are given back as a whole, again and again.
    let mut slot = buddy.slot(0).unwrap();
    for (start, granules) in [(64, 40), (4096, 64 * 32)] {
        let mut block = Block::from_parts(Offset(start * GRANULE), Bytes(granules * GRANULE));
        for _ in 0..5 {
            slot.free(block);
            has_taken(&buddy, whole.bytes().get() - granules * GRANULE);
            // A refusal takes away the mark above what is taken.
            block = slot.allocate(request(granules * GRANULE)).unwrap();
            assert!(buddy.allocate(1, request(GRANULE)).is_err());
            has_taken(&buddy, whole.bytes().get());
        }
        assert_eq!(block.offset(), Offset(start * GRANULE));
    }
}

/// A reader may meet the latest run on its way from one count to another, and then count it twice; an arena that is nearly empty
/// has no room for it above, and must not look full for that.
#[test]
fn and_an_arena_that_is_nearly_empty_never_looks_full() {
    const LONGEST: u64 = 50;
    let (buddy, done) = (arena(), AtomicBool::new(false));
    let least = std::thread::scope(|scope| {
        let pairs = || {
            let mut slot = buddy.slot(0).unwrap();
            while !done.load(Relaxed) {
                for granules in 1..=LONGEST {
                    let block = slot.allocate(request(granules * GRANULE)).unwrap();
                    slot.free(block);
                }
            }
        };
        scope.spawn(pairs);
        let least = (0..1_000_000).map(|_| buddy.free_bytes()).min().unwrap();
        done.store(true, Relaxed);
        least
    });
    assert!(
        least >= Bytes(buddy.capacity().get() - 2 * LONGEST * GRANULE),
        "{least} free seen of {}",
        buddy.capacity()
    );
    has_taken(&buddy, 0);
}
