//! The budget changes while plugins hold handles; regions are had when they are needed and given back. Behaviours E3, E4, E6.

use freehold_cuda::{Allocation, Bytes, DeviceMemory, Error, HostDevice, VramHandle, VramManager};
use freehold_tests::world::{World, assert_holds, load, on_both_devices, sourced, units, written};
use std::sync::Arc;

fn all_hold(handles: &[VramHandle]) {
    handles.iter().zip(0..).for_each(|(handle, seed)| assert_holds(handle, seed));
}

/// E3: lowering evicts down in order, exactly as far as needed; raising makes the room usable again.
#[test]
fn lowering_evicts_in_order_and_raising_gives_back() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = (0..8).map(|seed| load(&manager, seed, 1)).collect();
        handles[0].set_priority(1);
        let change = manager.set_budget(units(5)).unwrap();
        let told: Vec<u64> = change.evicted.iter().map(|one| one.id).collect();
        assert_eq!(told, [1, 2, 3].map(|index: usize| handles[index].id()));
        assert_eq!((world.recorder.evicted(), change.excess, manager.budget()), (told, Bytes(0), units(5)));
        all_hold(&handles);
        assert_eq!(manager.stats().resident_bytes, units(5).get());
        assert!(
            matches!(manager.allocate(sourced(9, units(6))), Err(Error::TooLarge { capacity, .. }) if capacity == units(5))
        );
        manager.set_budget(units(20)).unwrap();
        world.recorder.take();
        let more: Vec<VramHandle> = (20..32).map(|seed| load(&manager, seed, 1)).collect();
        assert!(world.recorder.evicted().is_empty(), "raised, it grows");
        assert_holds(&more[11], 31);
        all_hold(&handles);
        manager.audit().unwrap();
    });
}

/// E3: what is pinned or fixed above the new budget is reported and not freed; nothing is admitted before it is gone.
#[test]
fn pinned_excess_is_reported_and_stays() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let (pinned, weight) = (load(&manager, 1, 4), load(&manager, 2, 2));
        let fixed = written(&manager, 3, Allocation::new(units(2)).fixed());
        let guard = pinned.access().unwrap();
        let change = manager.set_budget(units(3)).unwrap();
        assert_eq!(change.evicted.iter().map(|one| one.id).collect::<Vec<_>>(), [weight.id()]);
        assert_eq!(change.excess, units(3));
        assert!(matches!(weight.access(), Err(Error::OutOfMemory { free: Bytes(0), .. })));
        drop(guard);
        drop(pinned);
        assert_holds(&load(&manager, 4, 1), 4);
        assert!(weight.access().is_err(), "two of three are fixed");
        drop(fixed);
        assert_holds(&weight, 2);
    });
}

/// E4: the card is handed over, up to all of it, and comes back when the guard drops.
#[test]
fn a_handover_ends_with_its_guard() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let handles: Vec<VramHandle> = (0..8).map(|seed| load(&manager, seed, 1)).collect();
        for bytes in [units(3), units(8), units(99)] {
            let lent = manager.handover(bytes, i32::MAX).unwrap();
            assert_eq!((lent.bytes(), lent.change.excess), (bytes.min(units(8)), Bytes(0)));
            assert_eq!(manager.budget(), units(8) - lent.bytes());
            assert!(manager.stats().resident_bytes <= manager.budget().get());
            if let Some(far) = world.far.as_ref().filter(|_| lent.bytes() == units(8)) {
                assert_eq!(far.regions(), 0, "all of it is with the device");
            }
            drop(lent);
            assert_eq!(manager.budget(), units(8));
            all_hold(&handles);
        }
    });
}

/// E3, E4: what is lent is lent from whatever the budget is: a budget set meanwhile is the budget when the bytes are back.
#[test]
fn a_budget_set_during_a_handover_is_kept() {
    let manager = World::host().manager(8);
    let lent = manager.handover(units(8), i32::MAX).unwrap();
    manager.set_budget(units(4)).unwrap();
    assert_eq!(manager.budget(), Bytes(0));
    drop(lent);
    assert_eq!(manager.budget(), units(4));
}

/// E4: what ranks above the training job's priority stays, and the guard says what could not be freed.
#[test]
fn a_handover_leaves_what_ranks_above_it() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let high = manager.allocate(sourced(1, units(3)).priority(7)).unwrap();
        let low = load(&manager, 2, 5);
        let lent = manager.handover(units(8), 5).unwrap();
        assert_eq!((high.is_resident(), low.is_resident(), lent.change.excess), (true, false, units(3)));
        drop(lent);
        assert_holds(&high, 1);
        assert_holds(&low, 2);
    });
}

fn free_of(device: &HostDevice) -> u64 {
    device.info().unwrap().free.get()
}

/// E6: regions that nobody uses go back to the device, proven by its free memory; they come back as they are needed.
#[test]
fn trim_gives_empty_regions_back() {
    let device = Arc::new(HostDevice::with_limit(Bytes(1 << 20)));
    let manager =
        VramManager::builder().device(device.clone()).budget(units(24)).arena_bytes(units(8)).build().unwrap();
    assert_eq!(free_of(&device), 1 << 20, "arenas come when they are needed");
    let handles: Vec<VramHandle> = (0..3).map(|seed| load(&manager, seed, 8)).collect();
    assert_eq!(free_of(&device), (1 << 20) - units(24).get());
    assert_eq!(manager.trim().unwrap(), Bytes(0), "all are in use");
    let mut handles = handles.into_iter();
    drop(handles.next());
    assert_eq!(manager.trim().unwrap(), units(8));
    assert_eq!(free_of(&device), (1 << 20) - units(16).get());
    let rest: Vec<VramHandle> = handles.collect();
    manager.evict_for_space(units(24)).unwrap();
    manager.trim().unwrap();
    assert_eq!(free_of(&device), 1 << 20);
    rest.iter().zip(1..).for_each(|(handle, seed)| assert_holds(handle, seed));
    manager.audit().unwrap();
}

/// A request larger than an arena gets a region of its own; regions in sum are never above the budget.
#[test]
fn a_large_request_gets_its_own_region() {
    on_both_devices(|world| {
        let manager = world.builder(24).arena_bytes(units(4)).build().unwrap();
        let small: Vec<VramHandle> = (0..6).map(|seed| load(&manager, seed, 1)).collect();
        let large = load(&manager, 9, 16);
        assert_eq!(manager.stats().evictions, 0);
        let books = manager.audit().unwrap();
        assert!((books.free + books.resident).get() <= units(24).get());
        let whole = load(&manager, 10, 24);
        assert_holds(&whole, 10);
        assert_holds(&large, 9);
        all_hold(&small);
        manager.audit().unwrap();
    });
}

/// The card's own limit, below the budget: room is made in what there is, and a hopeless request is refused (E2 on a device
/// that is really full).
#[test]
fn a_full_device_is_lived_with() {
    let device: Arc<dyn DeviceMemory> = Arc::new(HostDevice::with_limit(units(8)));
    let world = World { device: device.clone(), ..World::host() };
    let manager = world.builder(16).arena_bytes(units(4)).build().unwrap();
    let handles: Vec<VramHandle> = (0..12).map(|seed| load(&manager, seed, 1)).collect();
    assert_eq!(manager.stats().resident_bytes, units(8).get());
    all_hold(&handles);
    assert!(matches!(manager.allocate(sourced(99, units(12))), Err(Error::OutOfMemory { .. })));
    all_hold(&handles);
    manager.audit().unwrap();
}

/// More sizes one after the other than a manager has slots for arenas: what was given back serves again.
#[test]
fn many_sizes_one_after_the_other_are_served() {
    let manager = VramManager::builder().budget(units(4096)).arena_bytes(units(1)).build().unwrap();
    for size in 1..200 {
        drop(load(&manager, size, size));
        manager.trim().unwrap();
    }
    manager.audit().unwrap();
}

/// E4: while all of the card is lent, a request lacks memory; it is not too large for ever.
#[test]
fn what_is_lent_makes_nothing_too_large() {
    let manager = World::host().manager(8);
    let lent = manager.handover(units(8), i32::MAX).unwrap();
    let refused = manager.allocate(sourced(1, units(3))).unwrap_err();
    assert!(matches!(refused, Error::OutOfMemory { .. }), "{refused}");
    drop(lent);
    assert_holds(&load(&manager, 1, 3), 1);
}
