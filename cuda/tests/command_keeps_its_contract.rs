//! Claim: the JSON of each command has exactly the fields that others read, and figures that hold by hand.
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod command;

use command::{COUNTS, bundled, figure, freehold, json, text, trace};
use serde_json::Value;

/// Of a replay, beside its counts.
const REPLAY: &[&str] = &[
    "trace",
    "device",
    "policy",
    "scale",
    "budget_bytes",
    "events",
    "priority_inversions",
    "admission_bytes",
    "peak_admitted_bytes",
    "peak_resident_bytes",
    "wait_ns",
    "allocate_ns",
    "access_resident_ns",
    "seconds",
];
const PACK: &[&str] = &["trace", "weights", "granule", "peak_live_bytes", "smallest_arena_bytes", "ratio", "seconds"];

fn assert_fields(object: &Value, expected: &[&str]) {
    let mut found: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = expected.to_vec();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// Two weights of 4 granules each, of which 4.5 granules hold one; a block that makes neither fit.
const SMALL: &str = "0,0,load,1,2048,0,w:a\n0,0,load,2,2048,0,w:b\n0,1,begin,1,0,1,job\n\
    1,0,access,1,2048,0,mm\n1,0,access,1,2048,0,mm\n2,0,access,2,2048,0,mm\n3,0,access,1,2048,0,mm\n\
    4,1,alloc,3,1000,1,act\n5,1,alloc,4,4096,1,act\n6,1,free,4,4096,1,\n7,1,free,3,1000,1,\n7,1,end,1,0,1,job\n8,0,unload,2,2048,0,\n";

#[test]
fn replay_counts_what_can_be_counted_by_hand() {
    let path = trace("small.csv.zst", SMALL);
    let seen = json(&["replay", &path, "--device", "host", "--budget", "2560", "--json"]);
    assert_fields(&seen, &[REPLAY, &COUNTS].concat());
    assert_eq!((&seen["trace"], &seen["device"], &seen["policy"]), (&"small".into(), &"host".into(), &"lru".into()));
    let expected = [
        ("scale", 1),
        ("budget_bytes", 2560),
        ("events", 13),
        ("allocations", 2),
        ("accesses", 4),
        // a, b, a again; each evicts the other, and the block of 2 granules evicts a.
        ("loads", 3),
        ("load_bytes", 6144),
        ("evictions", 3),
        ("evicted_bytes", 6144),
        ("moves", 0),
        ("moved_bytes", 0),
        ("refused", 1),
        ("too_large", 0),
        ("mismatches", 0),
        ("priority_inversions", 0),
        ("admission_bytes", 0),
        ("peak_admitted_bytes", 0),
        ("peak_resident_bytes", 2048),
    ];
    for (name, value) in expected {
        assert_eq!(figure(&seen, name), value, "{name} of {seen}");
    }
    for name in ["allocate_ns", "access_resident_ns"] {
        assert_fields(&seen[name], &["p50", "p99", "p999", "max"]);
    }
    assert_fields(&seen["wait_ns"], &["p50", "p99", "max"]);
    assert!(seen["seconds"].is_f64());
}

/// The weight of the first thread ranks higher: without a floor it leaves for the other's, with one that is refused.
#[test]
fn a_floor_is_told_where_it_was_asked_for() {
    let path = trace(
        "floor.csv.zst",
        "0,0,load,1,2048,0,w:a\n0,1,load,2,2048,0,w:b\n0,0,access,1,2048,0,mm\n1,1,access,2,2048,0,mm\n",
    );
    for (floor, refused, from_below) in [("none", 0, 1), ("requester", 1, 0)] {
        let seen = json(&["replay", &path, "--budget", "2560", "--priority", "0=9", "--floor", floor, "--json"]);
        assert_fields(&seen, &[REPLAY, &COUNTS, &["floor"]].concat());
        assert_fields(&seen["floor"], &["under", "evicted_from_below"]);
        assert_eq!((&seen["floor"]["under"], figure(&seen, "refused")), (&floor.into(), refused), "{seen}");
        assert_eq!(figure(&seen["floor"], "evicted_from_below"), from_below, "{seen}");
    }
    let table = text(&freehold(&["replay", &path, "--floor", "requester"]).stdout);
    assert!(table.contains("0 evictions of who ranked higher"), "{table}");
}

#[test]
fn budgets_are_fractions_or_bytes() {
    // Weights peak at 4096, blocks at 5096.
    let path = trace("budgets.csv.zst", SMALL);
    let budget = |words: &[&str]| figure(&json(&[&["replay", &path, "--json"], words].concat()), "budget_bytes");
    assert_eq!(budget(&[]), 4596 / 512 * 512);
    assert_eq!(budget(&["--budget", "1.0"]), 9192 / 512 * 512);
    assert_eq!(budget(&["--budget", "2.5"]), 22980 / 512 * 512);
    assert_eq!(budget(&["--budget", "8KiB"]), 8192);
    assert_eq!(budget(&["--budget", "8KiB", "--scale", "64"]), 128);
    assert_eq!(budget(&["--budget", "8200", "--scale", "64"]), 128);
}

#[test]
fn scale_divides_sizes_and_granule() {
    let path = trace("scaled.csv.zst", SMALL);
    let seen = json(&["replay", &path, "--budget", "1.0", "--scale", "1024", "--json"]);
    // Granule 1, so nothing is rounded: both weights of 2 bytes, beside them 1000/1024, at least 1, and 4096/1024.
    assert_eq!(figure(&seen, "budget_bytes"), 8);
    assert_eq!((figure(&seen, "load_bytes"), figure(&seen, "refused")), (4, 0), "{seen}");
    assert_eq!(
        (figure(&seen, "evictions"), figure(&seen, "peak_resident_bytes")),
        (1, 7),
        "the last used weight stays"
    );
}

#[test]
fn a_request_beyond_every_card_is_refused_and_nothing_is_lost() {
    let path = trace(
        "huge.csv.zst",
        "0,0,alloc,1,9223372036854775808,0,a\n0,0,alloc,2,18446744073709551615,0,a\n0,0,load,3,9223372036854775808,0,w:a\n\
         0,0,alloc,4,512,0,a\n0,0,access,3,9223372036854775808,0,mm\n0,0,free,1,9223372036854775808,0,\n0,0,free,4,512,0,\n",
    );
    let seen = json(&["replay", &path, "--budget", "64KiB", "--json"]);
    assert_eq!((figure(&seen, "refused"), figure(&seen, "mismatches")), (3, 0), "{seen}");
    assert_eq!(figure(&seen, "peak_resident_bytes"), 512);
}

#[test]
fn an_empty_tensor_costs_nothing() {
    let path = trace("zero.csv.zst", "0,0,alloc,1,0,0,a\n0,0,alloc,2,512,0,a\n0,0,free,1,0,0,\n");
    let seen = json(&["replay", &path, "--budget", "512", "--json"]);
    assert_eq!(
        (figure(&seen, "refused"), figure(&seen, "mismatches"), figure(&seen, "peak_resident_bytes")),
        (0, 0, 512)
    );
}

/// One granule a buffer but for a large one; worker 0 never releases what it acquires.
const JOBS: &str = "0,0,acquire,1,500,0,a\n0,0,acquire,2,500,0,a\n0,1,acquire,3,500,1,b\n1,1,alloc,4,500,1,b\n\
    2,1,release,3,500,1,\n2,1,acquire,5,500,1,b\n3,2,acquire,6,2048,2,c\n4,2,alloc,7,512,2,c\n4,2,release,6,2048,2,\n\
    5,2,free,7,512,2,\n6,1,free,4,500,1,\n";

#[test]
fn jobs_wait_for_a_lease_or_are_too_large() {
    let path = trace("jobs.csv.zst", JOBS);
    for threads in ["1", "all"] {
        // At most 7 granules are acquired at once; worker 0 keeps its two to the end, and worker 1 waits until it goes.
        let words = ["replay", &path, "--json", "--budget", "1MiB", "--admission", "0.3", "--threads", threads];
        let seen = json(&words);
        let counts = ["admission_bytes", "peak_admitted_bytes", "too_large", "refused", "mismatches", "allocations"];
        assert_eq!(counts.map(|name| figure(&seen, name)), [1024, 1024, 1, 0, 0, 7], "{threads}: {seen}");
        // The job that is too large takes its allocation along: two buffers, or one and a tensor, at once.
        assert!(figure(&seen, "peak_resident_bytes") <= 1536, "{seen}");
    }
    // With room for all, nobody waits and nothing is skipped.
    let seen = json(&["replay", &path, "--json", "--budget", "1MiB"]);
    assert_eq!(["admission_bytes", "too_large"].map(|name| figure(&seen, name)), [7 * 512, 0], "{seen}");
}

/// In order of arrival or whoever fits: the same jobs are served, and the table says how long the large ones waited.
#[test]
fn either_fairness_serves_every_job_that_fits() {
    let path = bundled("mm_frontend_cut.csv.zst");
    for fairness in ["fifo", "barging"] {
        let words = ["replay", &path, "--device", "host", "--scale", "64", "--budget", "6.0", "--admission", "0.5"];
        let words = [&words[..], &["--threads", "all", "--fairness", fairness]].concat();
        let seen = json(&[&words[..], &["--json"]].concat());
        assert_eq!(
            ["too_large", "refused", "mismatches"].map(|name| figure(&seen, name)),
            [20, 0, 0],
            "{fairness}: {seen}"
        );
        assert!(figure(&seen, "peak_admitted_bytes") <= figure(&seen, "admission_bytes"), "{fairness}: {seen}");
        let told = freehold(&words);
        assert!(text(&told.stdout).contains("of jobs of a quarter of the pool or more"), "{fairness}: {told:?}");
    }
}

#[test]
fn jobs_that_need_each_other_are_refused() {
    let lines = "0,0,acquire,1,500,0,a\n0,0,alloc,2,500,0,a\n0,1,acquire,3,500,1,b\n0,1,free,2,500,1,\n";
    let said = command::refusal(&["replay", &trace("entangled.csv.zst", lines), "--budget", "1MiB"]);
    assert!(said.contains("another worker's job"), "{said}");
}

#[test]
fn pack_finds_the_smallest_arena() {
    // 3 granules, 1 granule, then the 3 go and 2 + 2 come: 4 are live at once, 5 are needed where nothing moves.
    let lines = "0,0,load,1,1536,0,w:a\n0,0,alloc,2,512,0,w:b\n0,0,unload,1,1536,0,\n0,0,alloc,3,1000,0,a\n0,0,alloc,4,1000,0,a\n";
    let path = trace("pack.csv.zst", lines);
    let seen = json(&["pack", &path, "--json"]);
    assert_fields(&seen, PACK);
    assert_eq!((&seen["trace"], &seen["weights"], figure(&seen, "granule")), (&"pack".into(), &"all".into(), 512));
    assert_eq!(figure(&seen, "peak_live_bytes"), 512 + 1000 + 1000);
    assert_eq!(figure(&seen, "smallest_arena_bytes") % 512, 0);
    assert!((5..=6).contains(&(figure(&seen, "smallest_arena_bytes") / 512)), "{seen}");
    let ratio = figure(&seen, "smallest_arena_bytes") as f64 / figure(&seen, "peak_live_bytes") as f64;
    assert!((seen["ratio"].as_f64().unwrap() - ratio).abs() < 1e-9);
    // Without weights: neither the load nor the alloc tagged `w:`.
    let seen = json(&["pack", &path, "--weights", "none", "--granule", "8", "--json"]);
    assert_eq!((figure(&seen, "peak_live_bytes"), figure(&seen, "smallest_arena_bytes")), (2000, 2000), "{seen}");
}

#[test]
fn moving_packs_into_the_peak_of_live_bytes() {
    let moved = |trace: &str| {
        let (path, mut fields) = (bundled(trace), PACK.to_vec());
        let seen = json(&["pack", &path, "--moves", "on", "--json"]);
        fields.push("moved_bytes");
        assert_fields(&seen, &fields);
        assert!(seen["ratio"].as_f64().unwrap() <= 1.005, "{seen}");
        figure(&seen, "moved_bytes")
    };
    assert!(moved("real_bcrafton_memory_snapshot_06f5.csv.zst") > 0, "5% more room would have been needed");
}

#[test]
fn pack_prints_a_line_a_trace() {
    let [a, b] = ["real_bcrafton_memory_snapshot_06f5.csv.zst", "mm_frontend_cut.csv.zst"].map(bundled);
    let output = freehold(&["pack", &a, &b, "--json"]);
    let lines: Vec<Value> = text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let names: Vec<&Value> = lines.iter().map(|line| &line["trace"]).collect();
    assert_eq!(names, ["real_bcrafton_memory_snapshot_06f5", "mm_frontend_cut"]);
    for line in &lines {
        let ratio = line["ratio"].as_f64().unwrap();
        assert!((1.0..1.4).contains(&ratio), "a best fit stays below 1.3 on both: {line}");
    }
}

#[test]
fn info_says_what_there_is() {
    let seen = json(&["info", "--json"]);
    assert_fields(&seen, &["devices", "driver", "host_bytes"]);
    let devices = seen["devices"].as_array().expect("a list");
    devices.iter().for_each(|device| assert_fields(device, &["ordinal", "uuid", "name", "total_bytes", "free_bytes"]));
    let said = text(&freehold(&["info"]).stdout);
    assert_eq!(devices.is_empty(), said.contains("no card"), "{said}");
}

#[test]
fn each_policy_keeps_every_byte() {
    let path = bundled("mix_cut.csv.zst");
    for policy in ["next-use", "offline"] {
        let seen = json(&["replay", &path, "--device", "host", "--scale", "512", "--policy", policy, "--json"]);
        assert_eq!(seen["policy"], policy);
        assert_eq!((figure(&seen, "mismatches"), figure(&seen, "priority_inversions")), (0, 0), "{seen}");
    }
}
