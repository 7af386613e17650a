//! The device refuses although the books say free: room is made in order and it is asked again; what is hopeless is a typed
//! error; and no content is lost. Behaviour E2, and what the far device can do to each kind of copy.

use freehold_cuda::{Allocation, Error, VramHandle};
use freehold_tests::far_device::{Call, FarDevice, Uploads};
use freehold_tests::world::{World, assert_holds, load, read, sourced, units, written};
use std::sync::Arc;

fn far_world() -> (World, Arc<FarDevice>) {
    let world = World::far();
    let far = world.far.clone().expect("it is far");
    (world, far)
}

/// E2: no further region: those who are there leave in order, and nothing is lost.
#[test]
fn a_refused_region_is_made_up_for_by_eviction() {
    let (world, far) = far_world();
    let manager = world.builder(12).arena_bytes(units(4)).build().unwrap();
    let mut handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
    far.refuse(Call::Allocate, u64::MAX);
    handles.extend((4..7).map(|seed| load(&manager, seed, 1)));
    assert_eq!(world.recorder.evicted(), [0, 1, 2].map(|index: usize| handles[index].id()));
    far.mend();
    handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
    assert_eq!(far.regions(), 2, "mended, it grows instead");
    manager.audit().unwrap();
    world.check();
}

/// E2: hopeless: out of memory, typed, and all content still there.
#[test]
fn a_hopeless_request_is_typed_and_loses_nothing() {
    let (world, far) = far_world();
    let manager = world.builder(12).arena_bytes(units(4)).build().unwrap();
    let handles: Vec<VramHandle> = (0..4).map(|seed| load(&manager, seed, 1)).collect();
    far.refuse(Call::Allocate, u64::MAX);
    let guards: Vec<_> = handles.iter().map(|handle| handle.access().unwrap()).collect();
    for _ in 0..3 {
        assert!(matches!(manager.allocate(sourced(9, units(2))), Err(Error::OutOfMemory { .. })));
    }
    drop(guards);
    handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
    manager.audit().unwrap();
    world.check();
}

/// A manager whose first region is refused does not come to be, and says why.
#[test]
fn a_card_without_room_makes_no_manager() {
    let (world, far) = far_world();
    far.refuse(Call::Allocate, 1);
    let refused = world.builder(4).build();
    assert!(
        matches!(&refused, Err(Error::Device(error)) if error.to_string().contains("refused to order")),
        "{refused:?}"
    );
    assert!(world.builder(4).build().is_ok());
}

/// A refused upload is the device's error each time, the entry stays absent, and comes when the device is mended.
#[test]
fn a_refused_upload_leaves_the_entry_absent() {
    let (world, far) = far_world();
    let manager = world.manager(4);
    let (sourced, spilled) = (load(&manager, 1, 2), written(&manager, 2, Allocation::new(units(2))));
    manager.evict_for_space(units(4)).unwrap();
    far.refuse(Call::Upload, 4);
    for handle in [&sourced, &spilled, &sourced, &spilled] {
        assert!(matches!(handle.access(), Err(Error::Device(_))));
        assert_eq!(manager.audit().unwrap().buffers, 0);
    }
    assert_holds(&sourced, 1);
    assert_holds(&spilled, 2);
    world.check();
}

/// What cannot be written out stays, with its content; the next in order leaves, or the request is refused.
#[test]
fn what_cannot_be_written_out_stays() {
    let (world, far) = far_world();
    let manager = world.manager(4);
    let spilled = written(&manager, 1, Allocation::new(units(2)));
    let sourced = load(&manager, 2, 2);
    far.refuse(Call::Download, u64::MAX);
    let third = load(&manager, 3, 2);
    assert_eq!(world.recorder.evicted(), [sourced.id()], "the spilled one was first in order");
    drop(third);
    assert!(matches!(manager.evict_for_space(units(4)), Err(Error::OutOfMemory { .. })));
    far.mend();
    assert!(spilled.is_resident());
    assert_holds(&spilled, 1);
    assert_holds(&sourced, 2);
    manager.audit().unwrap();
    world.check();
}

/// A move that the device refuses leaves the block where it is; the request then evicts instead.
#[test]
fn a_refused_move_falls_back_to_eviction() {
    let (world, far) = far_world();
    let manager = world.manager(6);
    let mut handles: Vec<Option<VramHandle>> = (0..6).map(|seed| Some(load(&manager, seed, 1))).collect();
    [0, 2, 4].iter().for_each(|&gone: &usize| drop(handles[gone].take()));
    far.refuse(Call::Copy, u64::MAX);
    let hole = load(&manager, 9, 3);
    assert_eq!(manager.stats().moves, 0);
    assert!(manager.stats().evictions > 0);
    assert_holds(&hole, 9);
    drop(hole);
    far.mend();
    for (handle, seed) in handles.iter().zip(0..) {
        handle.iter().for_each(|handle| assert_holds(handle, seed));
    }
    manager.audit().unwrap();
    world.check();
}

/// A move onto itself that fails half-way leaves nobody's bytes: what has a source comes back from it, what has none is an
/// error at every access, and neither is ever shown spoilt.
#[test]
fn a_failed_slide_is_never_shown() {
    let (world, far) = far_world();
    let manager = world.manager(12);
    let front = load(&manager, 1, 1);
    let wide = load(&manager, 2, 8);
    drop(front);
    far.refuse(Call::Copy, 1);
    drop(load(&manager, 3, 4));
    assert!(!wide.is_resident(), "how much of it was overwritten is not known");
    assert_holds(&wide, 2);

    let manager = world.manager(12);
    let front = load(&manager, 1, 1);
    let only = written(&manager, 2, Allocation::new(units(8)).fixed());
    drop(front);
    far.refuse(Call::Copy, 1);
    drop(load(&manager, 3, 4));
    assert!(matches!(only.access(), Err(Error::Device(_))), "its bytes exist nowhere any more");
    drop(only);
    assert_eq!(manager.audit().unwrap().buffers, 0);
    world.check();
}

/// A region that the device does not take back is told in the leak report.
#[test]
fn a_region_that_cannot_go_back_is_reported() {
    let (world, far) = far_world();
    let manager = world.manager(4);
    far.refuse(Call::Free, 1);
    let report = manager.close();
    assert_eq!((report.device_errors.len(), report.regions_kept), (1, 0));
    assert!(report.device_errors[0].contains("refused to order"), "{report:?}");
}

/// The instrument itself: uploads that are lost or stale are seen by the content checks of these tests.
#[test]
fn lost_and_stale_uploads_are_seen() {
    let (world, far) = far_world();
    let manager = world.manager(4);
    let handles = [load(&manager, 1, 1), load(&manager, 2, 1)];
    for uploads in [Uploads::Lost, Uploads::Stale] {
        manager.evict_for_space(units(4)).unwrap();
        drop(written(&manager, 8, Allocation::new(units(4)).fixed())); // what lies there is nobody's content
        far.spoil(uploads);
        let wrong = handles
            .iter()
            .zip(1..)
            .filter(|&(handle, seed)| read(handle) != freehold_tests::world::content(seed, units(1)));
        assert!(wrong.count() > 0, "{uploads:?}");
        far.mend();
    }
}
