//! Claim: a snapshot as a pickle has every key that PyTorch's memory viewer reads, of the type it takes it for, and a history that can be
//! gone through backwards as the viewer goes, from what lies where at the end to what the log remembers first: with regions that come
//! and go, evictions, moves, refusals, and a log that lost its beginning.
//!
//! What the viewer reads was seen by opening such files in it (`docs/engine-authors.md` says when, and what was looked at); the last of
//! this test's stays behind as `target/tmp/viewer.pickle`. Not covered: what it looks like. Plain Python reads another in
//! `cuda/tests/a_recorded_log_replays_to_the_same_counts.rs`.

use freehold_cuda::{Allocation, Bytes, Policy, VramManager};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::unpickle::{Py, unpickled};
use freehold_tests::world::{World, sourced, units};
use std::cell::RefCell;
use std::collections::{BTreeMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

/// What it prints of a frame is `filename:line:name`; it looks into both texts for what it leaves out. Without any frame it tells the
/// reader that recording was off.
fn check_frames(of: &Py) {
    assert!(!of.list("frames").is_empty(), "{of:?}");
    for frame in of.list("frames") {
        let (filename, name) = (frame.text("filename"), frame.text("name"));
        assert!(!filename.is_empty() && frame.int("line") >= 0, "{frame:?}");
        for left_out in ["_start", "PyEval_", "PyObject_", "unwind::unwind"] {
            assert!(!name.contains(left_out), "the viewer leaves out {name}");
        }
    }
}

/// The blocks of a device: where they begin, how long they are; those that the viewer draws.
fn check_segments(snapshot: &Py, device: i64) -> (BTreeMap<i64, i64>, BTreeMap<i64, i64>) {
    let (mut segments, mut blocks) = (BTreeMap::new(), BTreeMap::new());
    for segment in snapshot.list("segments").iter().filter(|segment| segment.int("device") == device) {
        let (address, total, _stream) = (segment.int("address"), segment.int("total_size"), segment.int("stream"));
        check_frames(segment);
        assert!(segments.insert(address, total).is_none(), "a segment is found by its address");
        // It adds the sizes up: where a block begins is not read from it.
        let mut at = address;
        for block in segment.list("blocks") {
            let (size, requested) = (block.int("size"), block.int("requested_size"));
            assert_eq!(block.int("address"), at);
            assert!(size > 0 && requested <= size, "what is not requested is drawn as lost to rounding");
            match block.text("state") {
                "inactive" => {}
                // Red, where it is on its way out; its own colour otherwise. Pointing at it shows its frames.
                "active_allocated" | "active_pending_free" => {
                    check_frames(block);
                    blocks.insert(at, size);
                }
                other => panic!("the viewer does not draw {other}"),
            }
            at += size;
        }
        assert_eq!(at, address + total);
    }
    (segments, blocks)
}

/// Backwards through the events, undoing each: at every step the viewer looks for the segment of each block, and stops where there is none.
fn check_history(events: &[Py], mut segments: BTreeMap<i64, i64>, mut blocks: BTreeMap<i64, i64>) -> HashSet<&str> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    let mut seen = HashSet::new();
    for (place, event) in events.iter().enumerate().rev() {
        let (action, size, _stream) = (event.text("action"), event.int("size"), event.int("stream"));
        assert!((now - event.int("time_us")).abs() < 3_600_000_000, "the viewer prints it as a time of day");
        check_frames(event);
        seen.insert(action);
        // Of a refusal it reads what was free instead of a place.
        if action == "oom" {
            assert!(event.int("device_free") >= 0 && !event.has("addr"));
            continue;
        }
        let at = event.int("addr");
        match action {
            "alloc" => assert_eq!(blocks.remove(&at), Some(size), "{event:?}"),
            "free_completed" => {
                assert_eq!(blocks.insert(at, size), None, "{event:?}");
                // The two become one event where they stand together. Apart, it would look for a block that is not there any more.
                let before = &events[place - 1];
                assert_eq!((before.text("action"), before.int("addr")), ("free_requested", at));
            }
            "segment_alloc" => assert_eq!(segments.remove(&at), Some(size), "{event:?}"),
            "segment_free" => assert_eq!(segments.insert(at, size), None, "{event:?}"),
            "free_requested" | "snapshot" => {}
            other => panic!("the viewer does not know {other}"),
        }
        for (&block, &size) in &blocks {
            let within = segments.range(..=block).next_back().is_some_and(|(at, total)| block + size <= at + total);
            assert!(within, "a block at {block:#x} in no segment, before {event:?}");
        }
    }
    seen
}

/// Everything that happens in a manager's life, and the pickle of its end.
fn life(seed: u64, records: usize) -> (VramManager, Vec<u8>) {
    let mut random = Random::new(seed, 0);
    let builder = World::host().builder(48).arena_bytes(units(16)).event_log(records).policy(Policy::PriorityLru);
    let manager = builder.build().unwrap();
    let plugins = ["chat", "spéech", ""].map(|name| manager.plugin(name));
    let mut handles = Vec::new();
    for number in 0..120 {
        let asked = sourced(number, Bytes(1 + random.below(5 * 512))).label(format!("layer {number}"));
        let asked = asked.plugin(&plugins[random.below(3) as usize]).priority(random.below(3) as i32 - 1);
        match random.below(16) {
            0 => drop(manager.set_budget(units(16 + random.below(33)))),
            1 => drop(manager.trim()),
            2 => drop(manager.handover(units(20), 5)),
            3 => handles.extend(manager.acquire_shared_weights("shared", sourced(7, units(2)))),
            4 => handles.extend(manager.allocate(Allocation::new(units(2)).label("fixed").fixed())),
            5 => drop(manager.allocate(Allocation::new(units(40)).label("large"))),
            _ => handles.extend(manager.allocate(asked)),
        }
        if random.once_in(3) && !handles.is_empty() {
            handles.swap_remove(random.below(handles.len() as u64) as usize);
        }
        if let Some(handle) = handles.last() {
            drop(handle.access());
        }
    }
    let mut pickle = Vec::new();
    manager.snapshot().write_pickle(&mut pickle).unwrap();
    drop(handles);
    (manager, pickle)
}

fn check(pickle: &[u8]) -> (HashSet<String>, HashSet<String>) {
    let snapshot = unpickled(pickle);
    let traces = snapshot.list("device_traces");
    let (mut seen, mut why) = (HashSet::new(), HashSet::new());
    for (device, trace) in traces.iter().enumerate() {
        let Py::List(events) = trace else { panic!("a trace is a list") };
        let (segments, blocks) = check_segments(&snapshot, device as i64);
        seen.extend(check_history(events, segments, blocks).into_iter().map(str::to_owned));
        // It colours by category and has a legend of them; a block that came before the history has the one that it calls unknown, and
        // where that is missing it stops.
        let categories: HashSet<&str> = events.iter().map(|event| event.text("category")).collect();
        assert!(categories.is_empty() || categories.contains("unknown"), "{categories:?}");
        why.extend(events.iter().filter_map(|event| Some(event.list("frames").last()?.text("name").to_owned())));
    }
    // It offers a device where there is a trace for it.
    assert!(snapshot.list("segments").iter().all(|segment| (segment.int("device") as usize) < traces.len()));
    // It prints them all.
    assert!(snapshot.get("allocator_settings").int("freehold_budget_bytes") > 0);
    (seen, why)
}

#[test]
fn a_whole_history_goes_back_to_nothing() {
    let (seen, why) = (RefCell::<HashSet<_>>::default(), RefCell::<HashSet<_>>::default());
    under_seeds(30, |seed| {
        let (manager, pickle) = life(seed, 1 << 13);
        assert_eq!(manager.event_log().unwrap().lost(), 0);
        let (actions, reasons) = check(&pickle);
        seen.borrow_mut().extend(actions);
        why.borrow_mut().extend(reasons);
        let target = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"));
        std::fs::write(target.join("viewer.pickle"), pickle).unwrap();
    });
    let (seen, why) = (seen.into_inner(), why.into_inner());
    for action in ["alloc", "free_requested", "free_completed", "segment_alloc", "segment_free", "oom", "snapshot"] {
        assert!(seen.contains(action), "{action} is not in {seen:?}");
    }
    for reason in ["given a block", "gave it back", "moved here", "evicted: chat asked for ", "refused"] {
        assert!(why.iter().any(|why| why.starts_with(reason)), "{reason} is not in {why:?}");
    }
}

#[test]
fn what_is_left_of_a_history_is_true_as_far_as_it_goes() {
    under_seeds(30, |seed| {
        let (manager, pickle) = life(seed, 1 << 7);
        assert!(manager.event_log().unwrap().lost() > 0);
        check(&pickle);
        let Py::Bool(overflowed) = unpickled(&pickle).get("allocator_settings").get("trace_alloc_overflowed").clone()
        else {
            panic!("it is yes or no")
        };
        assert!(overflowed);
    });
}

#[test]
fn without_a_log_there_is_the_picture_alone() {
    let manager = World::host().manager(8);
    let _layer = manager.allocate(sourced(1, units(2))).unwrap();
    let mut pickle = Vec::new();
    manager.snapshot().write_pickle(&mut pickle).unwrap();
    check(&pickle);
    assert!(matches!(&unpickled(&pickle).list("device_traces")[0], Py::List(events) if events.is_empty()));
}
