//! The manager behaves on a card as on ordinary memory: content, eviction, spilling, moves, sharing and books, on the
//! simulated driver, where work runs as late as the program allows and every unordered access is reported.
//!
//! Not covered here: streams of the program's own (`cuda_streams_are_ordered`) and failing calls (`cuda_failures`).

use freehold_cuda::memory::driver::{CudaDevice, devices, driver_version};
use freehold_cuda::{Allocation, Bytes, Error, HostBytes, PinnedBytes, VramHandle, VramManager};
use freehold_sim_control::{Live, Sim, World};

const MIB: u64 = 1 << 20;

fn manager(budget: u64) -> VramManager {
    let device = CudaDevice::new(0).expect("a card");
    VramManager::builder().device(device).budget(Bytes(budget)).build().expect("a manager")
}

fn pattern(bytes: u64, seed: u64) -> Vec<u8> {
    (0..bytes).map(|at| (at.wrapping_mul(31).wrapping_add(at >> 9).wrapping_add(seed.wrapping_mul(97))) as u8).collect()
}

fn sourced(manager: &VramManager, bytes: u64, seed: u64) -> VramHandle {
    let source = HostBytes(pattern(bytes, seed).into());
    manager.allocate(Allocation::new(Bytes(bytes)).source(source)).expect("room for it")
}

fn content(handle: &VramHandle) -> Vec<u8> {
    let mut bytes = vec![0; handle.bytes().get() as usize];
    handle.access().expect("content").read(0, &mut bytes).expect("a copy");
    bytes
}

#[test]
fn a_card_is_found_by_number_and_by_name() {
    let sim = Sim::with(World { devices: 2, ..World::default() });
    let cards = devices().expect("cards");
    if !sim.on_card() {
        assert_eq!(cards.len(), 2);
        assert_eq!((cards[1].name.as_str(), cards[1].total), ("Simulated device", Bytes(1 << 30)));
        assert_eq!(driver_version().as_deref(), Some("12.8"));
    }
    for card in &cards {
        assert!(card.free <= card.total && card.uuid.starts_with("GPU-"));
        let opened = CudaDevice::by_uuid(&card.uuid).expect("the card that was listed");
        assert_eq!(opened.uuid().expect("its name"), card.uuid);
        // As the driver's tools would name it, were it a part of a card.
        let part = card.uuid.replacen("GPU-", "MIG-", 1).to_uppercase();
        assert!(CudaDevice::by_uuid(&part).is_ok(), "{part}");
    }
    let missing = CudaDevice::new(cards.len()).expect_err("there is no such card");
    assert!(missing.to_string().contains(&format!("card {}", cards.len())), "{missing}");
    assert!(CudaDevice::by_uuid("GPU-nobody").is_err());
    assert_eq!(sim.live(), Live::default(), "and nothing was left open");
}

#[test]
fn a_card_that_cannot_be_opened_is_listed_and_hides_no_other() {
    let sim = Sim::with(World { devices: 2, ..World::default() });
    if sim.on_card() {
        return;
    }
    sim.fail("cuDevicePrimaryCtxRetain", 1, 101, false);
    let cards = devices().expect("cards");
    assert_eq!((cards[0].total, cards[0].free), (Bytes(1 << 30), Bytes::ZERO));
    assert_eq!(cards[1].free, Bytes(1 << 30));
    // Whoever has the name of the other opens that one, and nothing else.
    sim.fail("cuDevicePrimaryCtxRetain", 2, 101, false);
    assert!(CudaDevice::by_uuid(&cards[1].uuid).is_ok());
}

#[test]
fn no_card_is_an_ordinary_error() {
    let sim = Sim::with(World { devices: 0, ..World::default() });
    if sim.on_card() {
        return;
    }
    assert_eq!(devices().expect("an answer"), Vec::new());
    let error = CudaDevice::new(0).expect_err("no card");
    assert!(error.to_string().contains("lists no card"), "{error}");
}

#[test]
fn content_survives_eviction_spilling_and_large_copies() {
    let sim = Sim::late(3);
    let manager = manager(32 * MIB);
    let large = sourced(&manager, 13 * MIB + 777, 1); // more than all staging buffers at once, and no whole number of them
    let mut spilled = manager.allocate(Allocation::new(Bytes(5 * MIB))).expect("room");
    spilled.access_mut().expect("content").write(0, &pattern(5 * MIB, 2)).expect("a copy");
    for round in 0..3 {
        assert_eq!(content(&large), pattern(13 * MIB + 777, 1), "round {round}");
        assert_eq!(content(&spilled), pattern(5 * MIB, 2), "round {round}");
        manager.evict_for_space(manager.budget()).expect("all may leave");
        assert!(!large.is_resident() && !spilled.is_resident());
    }
    assert_eq!(manager.stats().evictions, 6);
    manager.audit().expect("the books agree");
    drop((large, spilled, manager));
    assert_eq!(sim.report(), "");
    assert_eq!(sim.live(), Live::default(), "everything was given back");
}

#[test]
fn a_very_large_copy_is_filled_by_several_threads_and_arrives_whole() {
    for late in [true, false] {
        let sim = Sim::with(World { seed: 8, late, ..World::default() });
        let manager = manager(160 * MIB);
        let bytes = 70 * MIB + 12345;
        let (first, second) = (sourced(&manager, bytes, 1), sourced(&manager, bytes, 2));
        let other = sourced(&manager, 40 * MIB, 3); // the first leaves
        assert!(!first.is_resident());
        assert_eq!((content(&second), content(&other)), (pattern(bytes, 2), pattern(40 * MIB, 3)));
        assert_eq!(content(&first), pattern(bytes, 1));
        drop((first, second, other, manager));
        assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
    }
}

#[test]
fn a_write_survives_eviction_and_a_shared_buffer_is_loaded_once() {
    let sim = Sim::late(4);
    let manager = manager(4 * MIB);
    let mut written = sourced(&manager, MIB, 1);
    written.access_mut().expect("content").write(1000, &[9; 100]).expect("a copy");
    let weights = || Allocation::new(Bytes(MIB)).source(HostBytes(pattern(MIB, 5).into()));
    let first = manager.acquire_shared_weights("w", weights()).expect("weights");
    let second = manager.acquire_shared_weights("w", weights()).expect("the same");
    assert_eq!(first.access().unwrap().device_ptr(), second.access().unwrap().device_ptr());
    manager.evict_for_space(manager.budget()).expect("all may leave");
    let mut expected = pattern(MIB, 1);
    expected[1000..1100].fill(9);
    assert_eq!(content(&written), expected);
    assert_eq!(content(&second), pattern(MIB, 5));
    assert!(first.access().unwrap().as_host_slice().is_none(), "the host cannot reach a card's memory");
    drop((written, first, second, manager));
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}

#[test]
fn blocks_are_moved_before_anybody_is_evicted_and_keep_their_content() {
    let sim = Sim::late(5);
    let manager = manager(8 * MIB);
    let fixed = |seed: u64| {
        let mut handle = manager.allocate(Allocation::new(Bytes(MIB)).fixed()).expect("room");
        handle.access_mut().expect("content").write(0, &pattern(MIB, seed)).expect("a copy");
        handle
    };
    let mut handles: Vec<Option<VramHandle>> = (0..8).map(|seed| Some(fixed(seed))).collect();
    for hole in [1, 3, 5] {
        handles[hole] = None;
    }
    let large = sourced(&manager, 3 * MIB, 9); // three holes of one MiB each, none of them enough
    assert!(manager.stats().moves > 0 && manager.stats().evictions == 0);
    for (seed, handle) in handles.iter().enumerate().filter_map(|(seed, handle)| Some((seed, handle.as_ref()?))) {
        assert_eq!(content(handle), pattern(MIB, seed as u64), "handle {seed}");
    }
    assert_eq!(content(&large), pattern(3 * MIB, 9));
    manager.audit().expect("the books agree");
    drop((handles, large, manager));
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}

#[test]
fn pinned_bytes_are_a_source_and_outlive_their_copies() {
    let sim = Sim::late(6);
    let device = CudaDevice::new(0).expect("a card");
    let manager = VramManager::builder().device(device.clone()).budget(Bytes(8 * MIB)).build().expect("a manager");
    let source = PinnedBytes::copy_of(&pattern(6 * MIB, 3)).expect("memory");
    device.register(&source).expect("the driver takes it");
    device.register(&source).expect("and a second time changes nothing");
    assert_eq!(sim.live().pinned, u64::from(!sim.on_card()));
    let handle = manager.allocate(Allocation::new(Bytes(6 * MIB)).source(source)).expect("room");
    if !sim.on_card() {
        assert!(sim.pending() > 0, "the copy was enqueued, and nobody waited for it");
        assert_eq!(sim.host_waits(), 0);
    }
    assert_eq!(content(&handle), pattern(6 * MIB, 3));
    manager.evict_for_space(manager.budget()).expect("all may leave");
    drop(handle.access().expect("a second load"));
    drop((handle, manager, device)); // the source goes with the handle, while its copy may still be under way
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}

#[test]
fn a_budget_beyond_the_card_is_refused_with_the_drivers_word() {
    let sim = Sim::with(World { bytes: 16 * MIB, ..World::default() });
    if sim.on_card() {
        return;
    }
    let device = CudaDevice::new(0).expect("a card");
    let refused = VramManager::builder().device(device).budget(Bytes(32 * MIB)).build().expect_err("too much");
    assert!(matches!(&refused, Error::Device(error) if error.reason.contains("OUT_OF_MEMORY")), "{refused}");
    assert_eq!(sim.live(), Live::default());
}

#[test]
fn several_threads_share_a_card_under_pressure() {
    let sim = Sim::free_running(7);
    let manager = manager(6 * MIB);
    let handles: Vec<VramHandle> = (0..12)
        .map(|seed| {
            let source = HostBytes(pattern(MIB, seed).into());
            manager.register(Allocation::new(Bytes(MIB)).source(source)).expect("a handle")
        })
        .collect();
    std::thread::scope(|scope| {
        for start in [0, 5] {
            let handles = &handles;
            scope.spawn(move || {
                for turn in 0..24 {
                    let seed = (start + turn * 5) % handles.len();
                    assert_eq!(content(&handles[seed]), pattern(MIB, seed as u64), "handle {seed} in turn {turn}");
                }
            });
        }
    });
    manager.audit().expect("the books agree");
    assert!(manager.stats().evictions > 0);
    drop((handles, manager));
    assert_eq!((sim.report().as_str(), sim.live()), ("", Live::default()));
}
