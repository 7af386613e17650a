//! C14, B11: the policy that learned what comes next drives prefetches: the soonest first, within the bytes allowed, never at
//! the cost of what is needed sooner or ranks higher; and nothing where nothing was learned. Not covered: how many waits it
//! saves on recorded work (`freehold replay --prefetch`).

use freehold_cuda::{Allocation, Bytes, Error, HostBytes, Policy, SourceError, VramHandle, VramManager, source};
use freehold_tests::layers::{Card, LAYER};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::{Duration, Instant};

fn empty(card: &Card) {
    card.manager.evict_for_space(card.manager.budget()).unwrap();
}

fn resident(model: &[VramHandle]) -> Vec<usize> {
    (0..model.len()).filter(|&layer| model[layer].is_resident()).collect()
}

#[test]
fn the_soonest_come_first_and_no_more_than_allowed() {
    let card = Card::of(16, Policy::PriorityNextUse);
    let model = card.model(&card.manager.plugin("chat"), 10, 0);
    card.steps(4, &model);
    card.step(&model[..7]);
    empty(&card);
    let ahead = card.manager.prefetch_next(Bytes(5 * LAYER + 100)).unwrap();
    assert_eq!((ahead.entries, ahead.bytes), (5, Bytes(5 * LAYER)));
    assert_eq!(resident(&model), [0, 1, 7, 8, 9], "the rest of this round, and the next one's beginning");
    let stats = card.manager.stats();
    assert_eq!((stats.prefetches, stats.prefetched_bytes), (5, 5 * LAYER));
    card.step(&model[7..]);
    card.step(&model[..2]);
    assert_eq!(card.manager.stats().loads, stats.loads, "nobody waited for them");
    assert_eq!(card.manager.prefetch_next(Bytes(LAYER - 1)).unwrap().entries, 0, "none is that small");
}

#[test]
fn nobody_leaves_who_is_needed_sooner() {
    let card = Card::of(6, Policy::PriorityNextUse);
    let model = card.model(&card.manager.plugin("chat"), 24, 0);
    card.steps(6, &model);
    for _ in 0..10 {
        card.manager.prefetch_next(Bytes(24 * LAYER)).unwrap();
    }
    let (before, here) = (card.manager.stats(), resident(&model));
    assert!(here.starts_with(&[0, 1, 2]), "{here:?}");
    card.step(&model[..3]);
    assert_eq!(card.manager.stats().loads, before.loads);
    assert_eq!(card.manager.prefetch_next(Bytes::ZERO).unwrap().entries, 0);
}

#[test]
fn nobody_leaves_who_ranks_higher() {
    for (low, high) in [(0, 1), (i32::MIN, i32::MAX)] {
        let card = Card::of(4, Policy::PriorityNextUse);
        let coming = card.model(&card.manager.plugin("soon"), 4, low);
        let above = card.model(&card.manager.plugin("rare"), 4, high);
        card.step(&above);
        empty(&card);
        card.steps(5, &coming);
        card.step(&above); // needed so much later, and in the way
        assert_eq!(card.manager.prefetch_next(Bytes(4 * LAYER)).unwrap().entries, 0);
        assert_eq!((resident(&coming).len(), resident(&above).len()), (0, 4));
    }
}

#[test]
fn a_pin_and_the_turn_of_another_are_respected() {
    let card = Card::of(2, Policy::PriorityNextUse);
    let model = card.model(&card.manager.plugin("chat"), 8, 0);
    card.steps(4, &model);
    card.clock.advance();
    let pinned = (model[6].access().unwrap(), model[7].access().unwrap());
    assert_eq!(card.manager.prefetch_next(Bytes(8 * LAYER)).unwrap().entries, 0);
    assert_eq!(pinned.1.as_host_slice(), Some(&[7; LAYER as usize][..]));
}

#[test]
fn nothing_comes_where_nothing_was_learned() {
    let card = Card::of(8, Policy::PriorityLru);
    let model = card.model(&card.manager.plugin("chat"), 4, 0);
    card.steps(5, &model);
    empty(&card);
    assert_eq!(card.manager.prefetch_next(Bytes(8 * LAYER)).unwrap().entries, 0, "LRU predicts nothing");

    let card = Card::of(8, Policy::PriorityNextUse);
    let model = card.model(&card.manager.plugin("chat"), 4, 0);
    card.step(&model);
    empty(&card);
    assert_eq!(card.manager.prefetch_next(Bytes(8 * LAYER)).unwrap().entries, 0, "once is no rhythm");
    card.steps(3, &model);
    empty(&card);
    model[0].release();
    assert_eq!(card.manager.prefetch_next(Bytes(8 * LAYER)).unwrap().entries, 3, "and the released do not come");
    card.manager.close();
    assert!(matches!(card.manager.prefetch_next(Bytes(LAYER)), Err(Error::Closed)));
}

#[test]
fn a_failing_source_ends_it_and_the_access_hears_why() {
    let card = Card::of(8, Policy::PriorityNextUse);
    let plugin = card.manager.plugin("chat");
    let broken = Arc::new(AtomicBool::new(false));
    let layers: Vec<VramHandle> = (0..4_u8)
        .map(|n| {
            let broken = Arc::clone(&broken);
            let fill = move |target: &mut [u8]| {
                target.fill(n);
                if broken.load(SeqCst) { Err(SourceError::new("unplugged")) } else { Ok(()) }
            };
            let asked = Allocation::new(Bytes(LAYER)).plugin(&plugin).label(format!("layer {n}"));
            card.manager.register(asked.source(source::closure(fill))).unwrap()
        })
        .collect();
    card.steps(4, &layers);
    empty(&card);
    broken.store(true, SeqCst);
    assert_eq!(card.manager.prefetch_next(Bytes(4 * LAYER)).unwrap().entries, 0);
    assert_eq!(card.manager.audit().unwrap().resident, Bytes::ZERO);
    card.clock.advance();
    assert!(matches!(layers[0].access(), Err(Error::SourceFailed { .. })));
    broken.store(false, SeqCst);
    assert_eq!(card.manager.prefetch_next(Bytes(3 * LAYER)).unwrap().entries, 3);
    assert_eq!(resident(&layers), [1, 2, 3], "layer 0 was just asked for, and is the last to be needed again");
}

/// The manager's own thread does it, where that was asked for: waits become fewer, and every byte is right.
#[test]
fn built_for_it_the_manager_brings_what_comes_by_itself() {
    let builder = VramManager::builder().budget(Bytes(40 * LAYER)).policy(Policy::PriorityNextUse);
    let manager = builder.prefetch_ahead(Bytes(8 * LAYER)).build().unwrap();
    let plugin = manager.plugin("chat");
    let layer = |n: u8| Allocation::new(Bytes(LAYER)).source(HostBytes(vec![n; LAYER as usize].into())).plugin(&plugin);
    let model: Vec<VramHandle> = (0..60).map(|n| manager.register(layer(n)).unwrap()).collect();
    let deadline = Instant::now() + Duration::from_secs(20);
    while manager.stats().prefetches < 50 {
        assert!(Instant::now() < deadline, "{:?}", manager.stats());
        for (n, handle) in (0..).zip(&model) {
            assert_eq!(handle.access().unwrap().as_host_slice(), Some(&[n; LAYER as usize][..]));
            std::thread::sleep(Duration::from_micros(100)); // a kernel's time
        }
    }
    manager.audit().unwrap();
    assert!(manager.stats().peak_resident_bytes <= 40 * LAYER);
}
