//! The pool of the process is installed, replaced, refused and taken away as P10 says. One test: there is one such pool.

use freehold_core::Bytes;
use freehold_cuda::admission::GlobalPoolError;
use freehold_cuda::{global_pool, init_global_pool, set_global_pool};

const GIB: u64 = 1 << 30;

#[test]
fn the_pool_of_the_process() {
    assert!(global_pool().is_none(), "nobody installed one");

    let first = init_global_pool(1.5, 2).unwrap().unwrap();
    assert_eq!(first.total_bytes(), Bytes(3 * GIB / 4));
    assert_eq!(global_pool().unwrap().total_bytes(), first.total_bytes());

    // An uneven budget is cut off, first to whole bytes and then to whole bytes a process.
    let third = init_global_pool(10.0 / GIB as f64, 3).unwrap().unwrap();
    assert_eq!(third.total_bytes(), Bytes(3));
    let lease = third.acquire_owned(2).wait().unwrap();

    // Refusals name their numbers and leave the installed pool alone.
    for (gib, processes) in [(1.0, 0), (1.0, -3)] {
        let refused = init_global_pool(gib, processes).unwrap_err();
        assert_eq!(refused, GlobalPoolError::NoProcesses { gib, processes });
        assert!(refused.to_string().contains(&processes.to_string()));
    }
    let empty = init_global_pool(3.0 / GIB as f64, 4).unwrap_err();
    assert_eq!(empty, GlobalPoolError::EmptySlice { budget: Bytes(3), processes: 4 });
    for gib in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert!(matches!(init_global_pool(gib, 1), Err(GlobalPoolError::NotFinite { .. })));
    }
    assert!(matches!(init_global_pool(1e12, 1), Err(GlobalPoolError::Pool(_))), "2^70 bytes are no budget");
    assert_eq!(global_pool().unwrap().total_bytes(), Bytes(3));

    // A replaced pool gets its leases back.
    let fourth = init_global_pool(1.0, 1).unwrap().unwrap();
    assert_eq!(third.available_bytes(), Bytes(1));
    drop(lease);
    assert_eq!((third.available_bytes(), fourth.available_bytes()), (Bytes(3), Bytes(GIB)));

    // Gating off, whatever the number of processes; and a pool of one's own.
    assert!(init_global_pool(0.0, 0).unwrap().is_none() && global_pool().is_none());
    assert!(set_global_pool(Some(first)).is_none());
    assert!(init_global_pool(-1.0, 1).unwrap().is_none() && global_pool().is_none());
}
