//! A child process has a copy of every handle and no right to any: use is a clear error, drops do nothing. Behaviour E8.
#![allow(unsafe_code, reason = "there is no safe fork")]

use freehold_cuda::Error;
use freehold_tests::world::{World, assert_holds, load, on_both_devices, sourced, units};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// What the child does with its copies. Its panics become its exit code.
fn in_child(claim: impl FnOnce()) {
    // SAFETY: this file has one test, so the child's only thread is this one, and glibc keeps its allocator whole in it. The
    // child ends by `_exit`: nothing of the parent's test harness runs in it.
    let child = unsafe { libc::fork() };
    assert!(child >= 0, "no process could be made");
    if child == 0 {
        let fell = catch_unwind(AssertUnwindSafe(claim)).is_err();
        // SAFETY: it ends this process, which has nothing to clean up.
        unsafe { libc::_exit(i32::from(fell)) };
    }
    let mut status = -1;
    // SAFETY: `status` is a live integer, and the child is ours.
    let waited = unsafe { libc::waitpid(child, &raw mut status, 0) };
    assert_eq!((waited, status), (child, 0), "the child's claims failed");
}

fn regions(world: &World) -> usize {
    world.far.as_ref().map_or(1, |far| far.regions())
}

/// E8.
#[test]
fn the_childs_drops_free_nothing_and_its_use_is_an_error() {
    on_both_devices(|world| {
        let manager = world.manager(8);
        let (handle, other) = (load(&manager, 1, 2), load(&manager, 2, 2));
        let shared = manager.acquire_shared_weights("k", sourced(3, units(2))).unwrap();
        let guard = other.access().unwrap();
        let copies = (&manager, &handle, &shared);
        in_child(|| {
            let (manager, handle, shared) = copies;
            assert!(matches!(handle.access(), Err(Error::Forked)));
            assert!(matches!(shared.access(), Err(Error::Forked)));
            assert!(matches!(manager.allocate(sourced(4, units(1))), Err(Error::Forked)));
            assert!(matches!(manager.acquire_shared_weights("k", sourced(3, units(2))), Err(Error::Forked)));
            assert!(matches!(manager.evict_for_space(units(8)), Err(Error::Forked)));
            assert!(matches!(manager.reserve(units(1)), Err(Error::Forked)));
            assert!(manager.close().live.is_empty(), "it has nothing to close");
            handle.release();
            shared.release();
            assert_eq!((regions(world), manager.stats().resident_bytes), (1, units(6).get()));
            assert!(matches!(manager.set_budget(units(1)), Err(Error::Forked)));
            assert!(matches!(manager.trim(), Err(Error::Forked)));
            assert!(matches!(manager.handover(units(1), 0), Err(Error::Forked)));
            assert!(Error::Forked.to_string().contains("make a manager of your own"));
            let own = World::far().manager(4);
            assert_holds(&load(&own, 5, 4), 5);
        });
        in_child(|| {
            // SAFETY: a bitwise copy whose original the child never touches again: it ends right after.
            drop(unsafe { std::ptr::read(&raw const handle) });
            // SAFETY: as above.
            drop(unsafe { std::ptr::read(&raw const manager) });
            assert_eq!(regions(world), 1, "the device was told nothing");
        });
        drop(guard);
        assert_holds(&handle, 1);
        assert_holds(&other, 2);
        assert_holds(&shared, 3);
        assert_eq!(manager.audit().unwrap().handles, 3);
    });
}
