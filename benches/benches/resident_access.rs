//! Access to an entry that is there: pin it and let it go. Beside the floor of any pin, and what else keeps a thing in place:
//! a shared count, a reader's lock.
//!
//! Threads use handles of their own, of one manager, but where a row says otherwise. First each handle is shown to give
//! its own bytes. [`freehold_benches::report`] has the variables.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use crossbeam_utils::CachePadded;
use freehold_benches::rounds::{Workload, measure};
use freehold_benches::workload::{Lane, repeat};
use freehold_core::{Claim, Pin, ResidencyWord};
use freehold_cuda::{Allocation, Bytes, Clock, HostBytes, ManualClock, MonotonicClock, Policy};
use freehold_cuda::{VramHandle, VramManager, VramManagerBuilder};
use parking_lot::RwLock;

const ENTRY_BYTES: u64 = 4096;

/// A handle, and the manager that must not close before it.
struct Entry {
    handle: VramHandle,
    _manager: Arc<VramManager>,
}

/// So many entries of one manager, resident, each filled with its own number.
fn entries(builder: VramManagerBuilder, count: usize) -> Vec<Entry> {
    let manager = Arc::new(builder.budget(Bytes(ENTRY_BYTES * count as u64)).build().expect("memory"));
    let entry = |index: usize| {
        let content = HostBytes(vec![index as u8; ENTRY_BYTES as usize].into());
        let handle = manager.allocate(Allocation::new(Bytes(ENTRY_BYTES)).source(content)).expect("it fits");
        Entry { handle, _manager: Arc::clone(&manager) }
    };
    let entries: Vec<Entry> = (0..count).map(entry).collect();
    for (index, entry) in entries.iter().enumerate() {
        let found = entry.handle.access().expect("content").as_host_slice().map(<[u8]>::to_vec);
        assert_eq!(found, Some(vec![index as u8; ENTRY_BYTES as usize]), "a handle gives its own bytes");
    }
    entries
}

fn access(entry: &Entry) {
    black_box(entry.handle.access().expect("it is resident").device_ptr());
}

/// The ways to have a manager whose price is wanted.
fn variants() -> Vec<(&'static str, VramManagerBuilder)> {
    let still = Arc::new(ManualClock::new());
    vec![
        ("freehold", VramManager::builder()),
        ("freehold, the clock stands still", VramManager::builder().clock(still)),
        ("freehold, next-use", VramManager::builder().policy(Policy::PriorityNextUse)),
    ]
}

/// A load and a compare-exchange to pin, the same to let go, on a word that nobody else has.
fn load_cas() -> impl FnMut() + Send {
    let word = CachePadded::new(AtomicU64::new(0));
    move || {
        let change = |by: u64| {
            let seen = word.load(Ordering::Relaxed);
            word.compare_exchange(seen, seen.wrapping_add(by), Ordering::AcqRel, Ordering::Relaxed).is_ok()
        };
        black_box(change(black_box(256)) & change(black_box(256_u64).wrapping_neg()));
    }
}

fn floor(threads: usize) -> Lane {
    repeat("floor: load+CAS", (0..threads).map(|_| load_cas()).collect())
}

/// One thread at one entry.
fn one() -> Vec<Lane> {
    let mut lanes = vec![floor(1)];
    let word = CachePadded::new(AtomicU64::new(0));
    let fetch_add = move || {
        word.fetch_add(black_box(256), Ordering::AcqRel);
        word.fetch_sub(black_box(256), Ordering::AcqRel);
    };
    lanes.push(repeat("floor: fetch_add", vec![fetch_add]));
    let shared = Arc::new(7_u64);
    lanes.push(repeat("Arc: clone, drop", vec![move || drop(black_box(Arc::clone(&shared)))]));
    let reader = RwLock::new(7_u64);
    lanes.push(repeat("parking_lot: read, unlock", vec![move || _ = black_box(*reader.read())]));
    let residency = ResidencyWord::new();
    assert_eq!(residency.begin_materialise(), Claim::Won);
    let _ = residency.finish_materialise(0);
    let pin = move || {
        assert_eq!(residency.try_pin(), Pin::Pinned);
        let _ = residency.unpin();
    };
    lanes.push(repeat("freehold-core: the word", vec![pin]));
    let clock = MonotonicClock::new();
    lanes.push(repeat("the clock", vec![move || _ = black_box(clock.tick())]));
    for (name, builder) in variants() {
        let entry = entries(builder, 1).remove(0);
        lanes.push(repeat(name, vec![move || access(&entry)]));
    }
    let mut written = entries(VramManager::builder(), 1).remove(0);
    written.handle.access_mut().expect("it is resident").write(0, &[7]).expect("room for a byte");
    lanes.push(repeat("freehold, a written entry", vec![move || access(&written)]));
    lanes
}

/// Eight entries in one breath.
fn eight() -> Vec<Lane> {
    let mut words: Vec<_> = (0..8).map(|_| load_cas()).collect();
    let mut lanes = vec![repeat("floor: load+CAS", vec![move || words.iter_mut().for_each(|pair| pair())])];
    for (name, builder) in variants() {
        let entries = entries(builder, 8);
        let step = move || {
            let guards: [_; 8] = std::array::from_fn(|index| entries[index].handle.access().expect("it is resident"));
            black_box(guards);
        };
        lanes.push(repeat(format!("{name}, one by one"), vec![step]));
    }
    lanes
}

/// A handle for each thread, all of one manager: what more threads bring, in the same rounds.
fn scaling(cores: usize) -> Vec<Lane> {
    let crowds = [1, 2].into_iter().chain((cores > 2).then_some(cores));
    let by_threads = |threads: usize| {
        let step = |entry: Entry| move || access(&entry);
        let steps = entries(VramManager::builder(), threads).into_iter().map(step).collect();
        let floor = floor(threads);
        let name = format!("{}, {threads}T", floor.contender);
        [floor.named(name), repeat(format!("freehold, {threads}T"), steps)]
    };
    crowds.flat_map(by_threads).collect()
}

/// Two threads at one entry: they meet in one word.
fn shared() -> Vec<Lane> {
    let word = Arc::new(CachePadded::new(AtomicU64::new(0)));
    let counted = |_| {
        let word = Arc::clone(&word);
        move || {
            word.fetch_add(256, Ordering::AcqRel);
            word.fetch_sub(256, Ordering::AcqRel);
        }
    };
    let entry = Arc::new(entries(VramManager::builder(), 1).remove(0));
    let accessed = |_| {
        let entry = Arc::clone(&entry);
        move || access(&entry)
    };
    let lock = Arc::new(RwLock::new(7_u64));
    let read = |_| {
        let lock = Arc::clone(&lock);
        move || _ = black_box(*lock.read())
    };
    vec![
        repeat("floor: fetch_add on one word", (0..2).map(counted).collect()),
        repeat("parking_lot: read, unlock", (0..2).map(read).collect()),
        repeat("freehold", (0..2).map(accessed).collect()),
    ]
}

fn main() {
    let cores = thread::available_parallelism().map_or(1, usize::from).min(64);
    let workloads: Vec<Workload> = vec![
        ("1T access".to_owned(), Box::new(one)),
        ("1T access of 8".to_owned(), Box::new(eight)),
        ("handles of their own".to_owned(), Box::new(move || scaling(cores))),
        ("2T access of one handle".to_owned(), Box::new(shared)),
    ];
    measure("resident_access", workloads);
}
