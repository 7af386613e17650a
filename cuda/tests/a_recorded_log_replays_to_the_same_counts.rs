//! Claim: the event log of a replay, written as a trace and replayed at the same scale and budget, does to the manager exactly what the
//! trace did; and what else the command leaves behind (RMM's CSV, the snapshots) tells the same story.
//! Not covered: a log that lost records (`tests/tests/the_log_keeps_the_last_and_counts_the_rest.rs`).
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod command;

use command::{COUNTS, bundled, figure, json};
use serde_json::Value;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::Command;

const MIX: &str = "mix_cut.csv.zst";
const REAL: &str = "real_bcrafton_memory_snapshot_06f5.csv.zst";

/// A replay of the bundled mix at 1/64, and a file beside which it leaves others.
fn replay(trace: &str, words: &[&str]) -> Value {
    json(&[&["replay", trace, "--device", "host", "--scale", "64", "--json"], words].concat())
}

fn beside(name: &str) -> String {
    PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name).display().to_string()
}

#[test]
fn the_log_of_the_mix_replays_to_identical_counts() {
    let log = beside("mix_log.csv.zst");
    let seen = replay(&bundled(MIX), &["--log", &log]);
    let budget = (figure(&seen, "budget_bytes") * 64).to_string();
    let again = replay(&log, &["--budget", &budget]);
    for name in COUNTS.iter().chain(&["budget_bytes", "peak_resident_bytes"]) {
        assert_eq!(seen[name], again[name], "{name}\n{seen}\n{again}");
    }
    assert!(figure(&seen, "evictions") > 10_000 && figure(&seen, "moves") > 0);
}

/// What refuses is refused again, and the log of a log is the log.
#[test]
fn refusals_are_recorded_too() {
    let [first, second] = ["tight_1.csv.zst", "tight_2.csv.zst"].map(beside);
    let seen = replay(&bundled(REAL), &["--budget", "0.6", "--log", &first]);
    let budget = (figure(&seen, "budget_bytes") * 64).to_string();
    let again = replay(&first, &["--budget", &budget, "--log", &second]);
    assert!(figure(&seen, "refused") > 20, "{seen}");
    for name in ["allocations", "accesses", "loads", "evictions", "refused"] {
        assert_eq!(seen[name], again[name], "{name}\n{seen}\n{again}");
    }
    let events = |path: &str| {
        let text = String::from_utf8(zstd::decode_all(std::fs::File::open(path).unwrap()).unwrap()).unwrap();
        text.lines()
            .filter(|line| !line.starts_with('#'))
            .map(|line| line.split_once(',').unwrap().1.to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(events(&first).len(), events(&second).len());
}

/// RMM's columns; every block that goes came before, at the same address with the same size, and blocks never overlap in time.
#[test]
fn rmm_reads_the_same_story() {
    let path = beside("mix_rmm.csv");
    let seen = replay(&bundled(MIX), &["--rmm-csv", &path]);
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("Thread,Time,Action,Pointer,Size,Stream"));
    let (mut live, mut came, mut went) = (HashMap::new(), 0_u64, 0_u64);
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [thread, time, action, pointer, size, stream] = fields[..] else { panic!("{line}") };
        assert!(thread.parse::<u64>().is_ok() && stream == "0", "{line}");
        assert!(time.len() == 15 && time.as_bytes()[8] == b'.' && time.as_bytes()[2] == b':', "{line}");
        match action {
            "allocate" => {
                came += 1;
                assert_eq!(live.insert(pointer, size), None, "{line}: given out twice");
            }
            "free" => {
                went += 1;
                assert_eq!(live.remove(pointer), Some(size), "{line}: freed as it was not given");
            }
            other => panic!("{other}: nothing is refused here"),
        }
    }
    assert!(came >= figure(&seen, "loads") + figure(&seen, "moves"), "{came}");
    assert_eq!(came - went, live.len() as u64);
}

/// The pickle loads in plain Python, its sums are those of the statistics, and its history goes back to nothing without a contradiction.
#[test]
fn plain_python_loads_the_snapshot() {
    let path = beside("mix.pickle");
    replay(&bundled(MIX), &["--snapshot", &path]);
    const LOOK: &str = r#"
import pickle, pickletools, sys
# What MemoryViz.js reads of all that Python reads.
known = {"PROTO", "STOP", "EMPTY_DICT", "EMPTY_LIST", "MARK", "SETITEMS", "APPENDS", "BINUNICODE", "BININT", "BININT1", "LONG1",
         "BINFLOAT", "NEWTRUE", "NEWFALSE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET"}
met = {op.name for op, _, _ in pickletools.genops(open(sys.argv[1], "rb"))}
assert met <= known, met - known
s = pickle.load(open(sys.argv[1], "rb"))
stats = s["freehold"]["statistics"]
card = [seg for seg in s["segments"] if seg["device"] == 0]
assert sum(seg["total_size"] for seg in card) == stats["reserved_bytes.all.current"] > 0
assert sum(seg["allocated_size"] for seg in card) == stats["allocated_bytes.all.current"] > 0
assert sum(seg["requested_size"] for seg in card) == stats["requested_bytes.all.current"]
assert len(card) == stats["segment.all.current"]
live = [b for seg in card for b in seg["blocks"] if b["state"] == "active_allocated"]
assert len(live) == stats["allocation.all.current"]
free = [b for seg in card for b in seg["blocks"] if b["state"] == "inactive"]
assert sum(b["size"] for b in free) == stats["inactive_split_bytes.all.current"]
assert len(free) == stats["inactive_split.all.current"]
for seg in s["segments"]:
    address = seg["address"]
    for b in seg["blocks"]:
        assert b["address"] == address and len(b["frames"]) in (0, 2)
        address += b["size"]
    assert address == seg["address"] + seg["total_size"]
away = [b for seg in s["segments"] if seg["device"] == 1 for b in seg["blocks"]]
assert len(away) == stats["freehold.residency.absent.entries"] > 0
assert all(b["freehold_state"] == "evicted" for b in away)
# Backwards through the history, as the viewer goes: what was given is there, what was freed is not.
blocks = {b["address"]: b["size"] for b in live}
kinds = set()
for e in reversed(s["device_traces"][0]):
    kinds.add(e["action"])
    if e["action"] == "alloc":
        assert blocks.pop(e["addr"]) == e["size"]
    elif e["action"] == "free_completed":
        assert e["addr"] not in blocks
        blocks[e["addr"]] = e["size"]
assert not blocks, len(blocks)
assert {"alloc", "free_requested", "free_completed", "segment_alloc", "snapshot"} <= kinds, kinds
# Who left, and for whom: as often as the books say, and each by its name.
left = [e for e in s["device_traces"][0] if e["action"] == "free_completed" and e["frames"][1]["name"].startswith("evicted: ")]
assert len(left) == stats["freehold.evictions"] > 0 and all(e["frames"][0]["name"] for e in left)
# What is said often is said once: a history of this length takes no more than so many bytes an event.
import os
assert os.path.getsize(sys.argv[1]) < 100 * len(s["device_traces"][0])
print("read", len(live), "blocks")
"#;
    // Without Python the rest of the tests goes on, and this says so.
    match Command::new("python3").args(["-c", LOOK, &path]).output() {
        Err(reason) => eprintln!("SKIPPED: no python3 here ({reason}), the pickle was not read"),
        Ok(output) => {
            let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(output.status.success(), "{}{}", said(&output.stdout), said(&output.stderr));
            assert!(said(&output.stdout).starts_with("read"));
        }
    }
}
