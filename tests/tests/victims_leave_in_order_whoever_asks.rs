//! Several who need room at once: victims leave in the one exact order, and no more than needed, as if those who ask had
//! come one after the other. It is the turn to make room (`Inner::room`) that keeps this: without it both tests fail.
//! Behaviours B2, B3. Whose request comes first is not promised.

use freehold_cuda::{Address, Allocation, VramHandle, VramManager};
use freehold_tests::far_device::Call;
use freehold_tests::hooked_device::HookedDevice;
use freehold_tests::seeded::{perhaps_yield, seed_yields, under_seeds};
use freehold_tests::watchdog::watch;
use freehold_tests::world::{World, assert_holds, units, written};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A manager of `capacity` granules on a device that calls `hook`.
fn manager(capacity: u64, hook: impl Fn(Call, Address) + Send + Sync + 'static) -> (World, VramManager) {
    let world = World { device: Arc::new(HookedDevice::new(hook)), ..World::host() };
    let manager = world.manager(capacity);
    (world, manager)
}

/// Somebody evicts two granules and needs one. Whoever comes meanwhile and needs the other waits for it, and evicts nobody.
#[test]
fn who_comes_while_room_is_made_evicts_nobody_for_what_is_about_to_be_free() {
    let _watchdog = watch("a request beside an eviction");
    let ((stopped, stops), (go_on, goes_on)) = (channel(), channel::<()>());
    let (ends, stop_once) = (Mutex::new((stopped, goes_on)), AtomicBool::new(true));
    let (world, manager) = manager(4, move |call, _| {
        if call == Call::Download && stop_once.swap(false, SeqCst) {
            let ends = ends.lock().unwrap();
            ends.0.send(()).unwrap();
            ends.1.recv().unwrap();
        }
    });
    let (cold, hot) =
        (written(&manager, 1, Allocation::new(units(2))), written(&manager, 2, Allocation::new(units(2))));
    std::thread::scope(|scope| {
        let first = scope.spawn(|| manager.allocate(Allocation::new(units(1)).fixed()).unwrap());
        stops.recv().unwrap(); // it is writing `cold` out
        let second = scope.spawn(|| manager.allocate(Allocation::new(units(1)).fixed()).unwrap());
        std::thread::sleep(Duration::from_millis(300)); // time enough to do it wrong
        let overtook = second.is_finished();
        go_on.send(()).unwrap();
        let _both = (first.join().unwrap(), second.join().unwrap());
        assert!(!overtook, "it evicted somebody while another was making room");
        assert_eq!(world.recorder.evicted(), [cold.id()], "the one granule left over served the second");
    });
    assert_holds(&hot, 2);
    assert_holds(&cold, 1);
}

/// Eight threads ask for 16 granules in all, where 32 entries of three have the memory: six are written out, in the order of
/// their ranks.
#[test]
fn eight_who_ask_at_once_evict_in_the_order_of_one() {
    const THREADS: u64 = 8;
    const ENTRIES: u64 = 32;
    const ASKED: u64 = 16;
    let _watchdog = watch("eight who need room");
    under_seeds(40, |seed| {
        let written_out: Arc<Mutex<Vec<Address>>> = Arc::default();
        let log = Arc::clone(&written_out);
        let (_world, manager) = manager(3 * ENTRIES, move |call, address| {
            if call == Call::Download {
                log.lock().unwrap().push(address);
                std::thread::sleep(Duration::from_micros(50)); // what a copy takes
            }
            perhaps_yield();
        });
        let entries: Vec<VramHandle> =
            (0..ENTRIES).map(|number| written(&manager, number, Allocation::new(units(3)))).collect();
        // By priority, then in the order of use; the two disagree.
        for entry in &entries {
            entry.set_priority((entry.id() * 7 % 5) as i32);
        }
        let ranked = manager.lru_order();
        let address = |id: u64| entries.iter().find(|entry| entry.id() == id).unwrap().access().unwrap().address();
        let addresses: Vec<Address> = ranked.iter().map(|candidate| address(candidate.id)).collect();
        // To ask for an address is a use, so in the order in which they were asked: the same as before.
        assert_eq!(manager.stats().evictions, 0);
        let asked = AtomicU64::new(0);
        std::thread::scope(|scope| {
            let (manager, asked) = (&manager, &asked);
            let threads = (0..THREADS).map(|thread| {
                scope.spawn(move || {
                    seed_yields(seed, thread);
                    let mut kept = Vec::new();
                    while asked.fetch_add(1, SeqCst) < ASKED {
                        kept.push(manager.allocate(Allocation::new(units(1)).fixed()).unwrap());
                        perhaps_yield();
                    }
                    kept
                })
            });
            let threads: Vec<_> = threads.collect();
            let _kept: Vec<_> = threads.into_iter().map(|thread| thread.join().unwrap()).collect();
        });
        let lowest = &addresses[..ASKED.div_ceil(3) as usize];
        assert_eq!(*written_out.lock().unwrap(), lowest, "the lowest ranks, in their order, and nobody else");
    });
}
