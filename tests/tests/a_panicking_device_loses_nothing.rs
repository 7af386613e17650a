//! A device is somebody else's code. Where it panics in the middle of an eviction, a move or a restore, the panic comes to
//! the caller, and the manager goes on: the books are exact, nobody waits for ever, and nobody sees a wrong byte.
//! Behaviours A2, C2, G5. Not covered: a panic of the device while a region comes or goes.

use freehold_cuda::{Allocation, Error, VramManager};
use freehold_tests::far_device::Call;
use freehold_tests::hooked_device::HookedDevice;
use freehold_tests::watchdog::watch;
use freehold_tests::world::{World, assert_holds, load, sourced, units, written};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Arc, Mutex};

/// Which call of which kind panics: the `n`-th from now.
#[derive(Debug, Default)]
struct Fuse(Mutex<Option<(Call, u64)>>);

impl Fuse {
    fn light(&self, call: Call, nth: u64) {
        *self.0.lock().unwrap() = Some((call, nth));
    }

    fn burn(&self, call: Call) {
        let mut fuse = self.0.lock().unwrap();
        match &mut *fuse {
            Some((lit, 1)) if *lit == call => {
                *fuse = None;
                drop(fuse);
                resume_unwind(Box::new("the device panicked")); // a panic without its message on stderr
            }
            Some((lit, left)) if *lit == call => *left -= 1,
            _ => {}
        }
    }
}

fn manager(capacity: u64) -> (VramManager, Arc<Fuse>) {
    let fuse = Arc::new(Fuse::default());
    let burning = Arc::clone(&fuse);
    let device = Arc::new(HookedDevice::new(move |call, _| burning.burn(call)));
    let manager = World { device, ..World::host() }.builder(capacity).spill_budget(units(64)).build().unwrap();
    (manager, fuse)
}

fn panics<T>(call: impl FnOnce() -> T) {
    let panic = catch_unwind(AssertUnwindSafe(call)).err().expect("the device panicked in it");
    assert_eq!(*panic.downcast::<&str>().unwrap(), "the device panicked");
}

#[test]
fn in_the_copy_of_an_eviction() {
    let _watchdog = watch("a panic in an eviction");
    let (manager, fuse) = manager(4);
    let only = written(&manager, 1, Allocation::new(units(3)));
    fuse.light(Call::Download, 1);
    panics(|| manager.allocate(sourced(2, units(4))));
    let books = manager.audit().unwrap();
    assert_eq!((books.resident, books.spilled), (units(3), units(0)), "it stays, and nothing is charged for it");
    assert_holds(&only, 1);
    drop(load(&manager, 2, 4)); // now it leaves
    assert!(!only.is_resident());
    assert_holds(&only, 1);
    drop(only);
    assert_eq!(manager.audit().unwrap().free, units(4));
}

#[test]
fn in_the_copy_of_a_move() {
    let _watchdog = watch("a panic in a move");
    let (manager, fuse) = manager(8);
    let handles = [load(&manager, 1, 2), load(&manager, 2, 1), load(&manager, 3, 2), load(&manager, 4, 1)];
    let [left, middle, right, last] = handles;
    drop((left, right)); // two free, one taken, two free, one taken, two free
    fuse.light(Call::Copy, 1);
    panics(|| manager.allocate(sourced(5, units(5))));
    manager.audit().unwrap();
    assert!(middle.is_resident() && last.is_resident(), "nobody had to leave");
    let wide = load(&manager, 5, 6);
    for (handle, seed) in [(&middle, 2), (&last, 4), (&wide, 5)] {
        assert_holds(handle, seed);
    }
    drop((middle, last, wide));
    assert_eq!(manager.audit().unwrap().free, units(8));
}

/// The copy is whole, and over the old place, which is where the entry would be looked for.
#[test]
fn in_the_copy_of_a_block_onto_itself() {
    let _watchdog = watch("a panic in a slide");
    for fixed in [false, true] {
        let (manager, fuse) = manager(12);
        let front = load(&manager, 1, 1);
        let wide = if fixed { written(&manager, 2, Allocation::new(units(8)).fixed()) } else { load(&manager, 2, 8) };
        drop(front);
        fuse.light(Call::Copy, 1);
        panics(|| manager.allocate(sourced(3, units(4))));
        manager.audit().unwrap();
        assert!(!wide.is_resident(), "how much of it was overwritten is not known");
        if fixed {
            assert!(matches!(wide.access(), Err(Error::Device(_))), "its bytes exist nowhere any more");
        } else {
            assert_holds(&wide, 2);
        }
        drop(wide);
        assert_eq!(manager.audit().unwrap().free, units(12));
    }
}

#[test]
fn in_the_copy_of_a_restore() {
    let _watchdog = watch("a panic in a restore");
    let (manager, fuse) = manager(4);
    let only = written(&manager, 1, Allocation::new(units(3)));
    drop(load(&manager, 2, 4));
    fuse.light(Call::Upload, 1);
    panics(|| only.access().map(drop));
    let books = manager.audit().unwrap();
    assert_eq!((books.resident, books.spilled), (units(0), units(3)), "absent as before");
    assert_holds(&only, 1);
}

/// Every call of the device in a life of pressure panics once; whatever was promised holds all the same.
#[test]
fn at_any_copy_of_a_life_under_pressure() {
    let _watchdog = watch("panics in turn");
    for call in [Call::Download, Call::Copy, Call::Upload] {
        let mut burnt = 0;
        for nth in 1..40 {
            let (manager, fuse) = manager(12);
            let mut kept = Vec::new();
            fuse.light(call, nth);
            for seed in 0..40 {
                let size = units(1 + seed * 7 % 5);
                let made = catch_unwind(AssertUnwindSafe(|| match seed % 3 {
                    0 => written(&manager, seed, Allocation::new(size)),
                    _ => manager.allocate(sourced(seed, size)).unwrap(),
                }));
                match made {
                    Ok(handle) => kept.push((handle, seed)),
                    Err(panic) => burnt += u64::from(panic.is::<&str>()),
                }
                manager.audit().unwrap();
                if seed % 4 == 3 {
                    let (oldest, seed) = kept.swap_remove(0);
                    match catch_unwind(AssertUnwindSafe(|| assert_holds(&oldest, seed))) {
                        Err(panic) if panic.is::<&str>() => burnt += 1,
                        Err(panic) => resume_unwind(panic),
                        Ok(()) => {}
                    }
                }
            }
            for (handle, seed) in &kept {
                match catch_unwind(AssertUnwindSafe(|| assert_holds(handle, *seed))) {
                    Err(panic) if panic.is::<&str>() => burnt += 1,
                    Err(panic) => resume_unwind(panic),
                    Ok(()) => {}
                }
            }
            drop(kept);
            assert_eq!(manager.audit().unwrap().free, units(12), "{call:?} {nth}");
        }
        assert!(burnt > 5, "{burnt} panics of {call:?}");
    }
}
