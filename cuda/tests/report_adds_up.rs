//! Claim: the page of `replay --report` is one file that asks for nothing else, its totals are those of `--json`, and its
//! columns, its matrix and its cells add up to them; and it is the same each time.
//! Not covered: how it looks (`report_opens_in_a_browser`).
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod command;
mod report;

use command::{bundled, figure, freehold, refusal, text, trace};
use report::{Page, report, sum, whole};
use serde_json::Value;

const MIX: &str = "mix_cut.csv.zst";
const FRONT_END: &str = "mm_frontend_cut.csv.zst";
const REAL: &str = "real_bcrafton_memory_snapshot_06f5.csv.zst";

/// Every figure of the columns against the replay's counters.
fn adds_up(page: &Page) {
    let (totals, columns) = (&page.data["totals"], &page.data["columns"]);
    assert_eq!(totals, &page.printed);
    let uploads = |part: usize| (0..3).map(|kind| sum(&columns["uploads"][kind][part])).sum::<u64>();
    assert_eq!((uploads(0), uploads(1)), (figure(totals, "loads"), figure(totals, "load_bytes")));
    let moved = [0, 1].map(|part: usize| sum(&columns["moved"][part]));
    assert_eq!(moved, [figure(totals, "moves"), figure(totals, "moved_bytes")]);
    assert_eq!(sum(&columns["refused"]), figure(totals, "refused"));
    let pairs = columns["evictions"].as_array().expect("a list");
    let evicted = [3, 4].map(|part: usize| pairs.iter().map(|pair| whole(&pair[part])).sum::<u64>());
    assert_eq!(evicted, [figure(totals, "evictions"), figure(totals, "evicted_bytes")]);
    let peaks = columns["peak_resident"].as_array().expect("a list").iter().map(whole);
    let peak = peaks.max().expect("a column");
    assert!(peak <= figure(totals, "peak_resident_bytes"), "{peak} and {totals}");
    let refusals = page.data["refusals"].as_array().expect("a list");
    if refusals.len() < 12 {
        assert_eq!(refusals.iter().map(|row| figure(row, "count")).sum::<u64>(), figure(totals, "refused"));
    }
    cells_are_whole(&page.data);
}

/// No cell is drawn twice, none lies outside, and each names a block and a group that there are.
fn cells_are_whole(data: &Value) {
    let (raster, columns) = (&data["raster"], &data["columns"]);
    let wide = columns["end_ns"].as_array().expect("a list").len();
    let rows = whole(&raster["rows"]) as usize;
    let groups = data["groups"].as_array().expect("a list").len() as u64;
    let length = |list: &Value| list.as_array().expect("a list").len() as u64;
    let mut drawn = vec![false; wide * rows];
    for run in raster["runs"].as_array().expect("a list") {
        let [row, from, to, block] = [0, 1, 2, 3].map(|part: usize| whole(&run[part]));
        assert!(from < to && to as usize <= wide && (row as usize) < rows, "{run}");
        for column in from as usize..to as usize {
            let cell = &mut drawn[row as usize * wide + column];
            assert!(!std::mem::replace(cell, true), "{run} draws over another");
        }
        let block = &raster["blocks"][block as usize];
        assert!(whole(&block[3]) < groups && whole(&block[5]) < length(&raster["labels"]), "{block}");
    }
    assert!(wide <= 600 && rows <= 256, "bounded, however long the replay");
}

/// One file: nothing in it names another place, and a browser is told to fetch nothing.
fn asks_for_nothing(page: &Page) {
    for sign in ["http:", "https:", " src=", "<link", "@import", "url("] {
        assert!(!page.html.contains(sign), "{sign}");
    }
    assert!(page.html.contains("default-src 'none'"));
}

#[test]
fn the_bundled_mix_adds_up_and_is_small() {
    let page = report("mix.html", &bundled(MIX), &["--scale", "64", "--budget", "0.5"]);
    adds_up(&page);
    asks_for_nothing(&page);
    assert!(page.html.len() < 3_000_000, "{} bytes", page.html.len());
    assert_eq!(figure(&page.data["totals"], "events"), 167_363);
    let needless = sum(&page.data["columns"]["uploads"][2][1]) as f64;
    let share = needless / figure(&page.data["totals"], "load_bytes") as f64;
    assert!(share > 0.5, "half the memory under LRU is a loop larger than the card: {share}");
}

/// The best order by hindsight has nothing to regret: two ways of counting agree.
#[test]
fn under_the_offline_order_no_upload_of_the_mix_is_needless() {
    let page = report("offline.html", &bundled(MIX), &["--scale", "64", "--budget", "0.5", "--policy", "offline"]);
    adds_up(&page);
    assert_eq!(sum(&page.data["columns"]["uploads"][2][0]), 0);
    assert!(sum(&page.data["columns"]["uploads"][1][0]) > 1000, "and much came back");
}

#[test]
fn a_loop_of_which_all_but_one_fits_is_needless_and_the_offline_order_is_not() {
    let mut lines = String::new();
    (1..=4).for_each(|id| lines += &format!("0,0,load,{id},512,0,w:loop/{id}\n"));
    (0..40).for_each(|use_| lines += &format!("0,0,access,{},512,0,w:loop/{0}\n", use_ % 4 + 1));
    let path = trace("report_loop.csv.zst", &lines);
    let uploads = |policy: &str| {
        let page = report("loop.html", &path, &["--budget", "1536", "--policy", policy]);
        adds_up(&page);
        [0, 1, 2].map(|kind: usize| sum(&page.data["columns"]["uploads"][kind][0]))
    };
    assert_eq!(uploads("lru"), [4, 0, 36]);
    let [first, again, needless] = uploads("offline");
    assert_eq!((first, needless), (4, 0));
    assert!((8..20).contains(&again), "{again}");
}

#[test]
fn refusals_and_waits_are_shown_and_threads_of_their_own_add_up_too() {
    for (name, bundle, words) in [
        ("front_end.html", FRONT_END, vec!["--scale", "64"]),
        ("real.html", REAL, vec!["--scale", "64"]),
        ("threads.html", FRONT_END, vec!["--scale", "64", "--threads", "all"]),
    ] {
        let page = report(name, &bundled(bundle), &words);
        adds_up(&page);
        assert!(figure(&page.data["totals"], "refused") > 0, "{bundle}");
        let said = page.data["refusals"][0]["said"].as_str().expect("a text");
        assert!(said.contains("out of memory") || said.contains("asked of a manager"), "{said}");
    }
}

#[test]
fn the_same_replay_makes_the_same_picture() {
    let picture = |name| {
        let mut page = report(name, &bundled(REAL), &["--scale", "64"]);
        page.data["columns"]["end_ns"] = Value::Null;
        ["columns", "raster", "groups", "plugins", "dearest", "refusals"].map(|part| page.data[part].take())
    };
    assert_eq!(picture("once.html"), picture("twice.html"));
}

#[test]
fn one_event_makes_a_page() {
    let path = trace("report_one.csv.zst", "0,0,alloc,1,512,0,x\n");
    adds_up(&report("one.html", &path, &["--budget", "512"]));
}

#[test]
fn a_page_that_cannot_be_written_is_refused_before_the_replay() {
    let (mix, nowhere) = (bundled(MIX), "/nowhere/at/all/report.html");
    let said = refusal(&["replay", &mix, "--device", "host", "--report", nowhere]);
    assert!(said.contains("cannot write") && said.contains(nowhere), "{said}");
}

#[test]
fn without_the_option_nothing_is_written_and_nothing_is_gathered() {
    let plain = freehold(&["replay", &bundled(REAL), "--device", "host", "--scale", "64"]);
    assert!(plain.status.success() && !text(&plain.stdout).contains("report"), "{}", text(&plain.stdout));
}
