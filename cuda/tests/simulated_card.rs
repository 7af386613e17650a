//! The command on a machine with a card, with a driver and no card, and with no driver: simulated, so that it is tried
//! everywhere. A program that knows nothing of the simulated driver gets it by `LD_PRELOAD`.

use freehold_sim_control::path;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Every other one runs all work as late as the program allows.
const SEEDS: usize = 20;

/// How many lines of the bundled mix are replayed where only the device's name is in question.
const LINES: usize = 2000;

fn command(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_freehold"));
    command.args(words);
    command
}

fn with_driver(words: &[&str], settings: &[(&str, &str)]) -> Output {
    let mut command = command(words);
    command.env("LD_PRELOAD", path()).envs(settings.iter().copied());
    command.output().expect("the command starts")
}

fn json(output: &Output) -> Value {
    let (out, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{}: {error}", output.status);
    serde_json::from_str(&out).unwrap_or_else(|problem| panic!("{problem}: {out}"))
}

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace").join("tests/traces")
}

/// The beginning of the bundled mix, in a file of this test's own.
fn short_mix(name: &str) -> PathBuf {
    let packed = fs::read(traces().join("mix_cut.csv.zst")).expect("the bundled mix");
    let text = String::from_utf8(zstd::decode_all(&packed[..]).expect("zstd")).expect("text");
    let short: String = text.split_inclusive('\n').take(LINES).collect();
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::write(&file, zstd::encode_all(short.as_bytes(), 0).expect("zstd")).expect("a file");
    file
}

/// The whole mix, once under each seed, on as many threads as there are processors: 4 s a seed on one of them.
#[test]
fn the_whole_mix_replays_on_a_card_without_a_mismatch_or_a_race_under_twenty_seeds() {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    // Relaxed: each seed is drawn once; nothing else depends on it.
                    let seed = next.fetch_add(1, Relaxed);
                    if seed >= SEEDS {
                        return;
                    }
                    replay_under(seed);
                }
            });
        }
    });
}

fn replay_under(seed: usize) {
    let mix = traces().join("mix_cut.csv.zst").display().to_string();
    let report = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed {seed}.report"));
    let _ = fs::remove_file(&report);
    // At this scale it is the events that take the time, and no longer the bytes: every event is there.
    let contents = ["made", "pinned"][seed / 2 % 2]; // through staging, and enqueued without waiting
    let words =
        ["replay", &mix, "--device", "cuda:0", "--scale", "512", "--budget", "0.5", "--contents", contents, "--json"];
    let (seed_text, late) = (seed.to_string(), ["1", "0"][seed % 2]);
    let report_path = report.display().to_string();
    let settings =
        [("FREEHOLD_SIM_SEED", &*seed_text), ("FREEHOLD_SIM_LATE", late), ("FREEHOLD_SIM_REPORT", &report_path)];
    let result = json(&with_driver(&words, &settings));
    assert_eq!((&result["device"], &result["events"]), (&"Simulated device".into(), &167_363.into()));
    assert_eq!(result["mismatches"], 0, "seed {seed}: {result}");
    let at_work = |figure: &str| result[figure].as_u64().is_some_and(|count| count > 10_000);
    assert!(at_work("evictions") && at_work("loads") && at_work("moves"), "seed {seed}: {result}");
    assert!(!report.exists(), "seed {seed}: {}", fs::read_to_string(&report).unwrap_or_default());
}

#[test]
fn info_lists_the_cards_and_auto_takes_the_first() {
    let settings = [("FREEHOLD_SIM_DEVICES", "2"), ("FREEHOLD_SIM_BYTES", "536870912"), ("FREEHOLD_SIM_LATE", "1")];
    let info = json(&with_driver(&["info", "--json"], &settings));
    let cards = info["devices"].as_array().expect("a list");
    assert_eq!(cards.len(), 2);
    for (ordinal, card) in cards.iter().enumerate() {
        assert_eq!((card["ordinal"].as_u64(), card["total_bytes"].as_u64()), (Some(ordinal as u64), Some(536_870_912)));
        assert_eq!((&card["name"], &card["free_bytes"]), (&"Simulated device".into(), &card["total_bytes"]));
        assert!(card["uuid"].as_str().is_some_and(|uuid| uuid.starts_with("GPU-")));
    }
    assert_eq!(info["driver"], "12.8");
    let trace = short_mix("auto.csv.zst").display().to_string();
    let replay = json(&with_driver(&["replay", &trace, "--scale", "256", "--json"], &settings));
    assert_eq!((&replay["device"], &replay["mismatches"]), (&"Simulated device".into(), &0.into()));
}

#[test]
fn a_driver_without_a_card_and_no_driver_at_all_are_told_and_auto_takes_the_host() {
    let trace = short_mix("nothing.csv.zst").display().to_string();
    let absent = Path::new("/usr/lib/x86_64-linux-gnu/libcuda.so.1").exists();
    for with_library in [true, false] {
        if !with_library && absent {
            continue; // this machine has a driver of its own
        }
        let run = |words: &[&str]| match with_library {
            true => with_driver(words, &[("FREEHOLD_SIM_DEVICES", "0")]),
            false => command(words).output().expect("the command starts"),
        };
        let info = json(&run(&["info", "--json"]));
        assert_eq!(info["devices"], Value::Array(Vec::new()));
        assert_eq!(info["driver"].is_string(), with_library, "the driver is told apart from the cards");
        let refused = run(&["replay", &trace, "--scale", "256", "--device", "cuda:0", "--json"]);
        let said = String::from_utf8_lossy(&refused.stderr);
        assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
        assert!(said.contains("cuda:0") && refused.stdout.is_empty(), "{said}");
        let replay = json(&run(&["replay", &trace, "--scale", "256", "--json"]));
        assert_eq!((&replay["device"], &replay["mismatches"]), (&"host".into(), &0.into()));
    }
}

#[test]
fn a_driver_that_is_too_old_is_told_and_auto_takes_the_host() {
    let trace = short_mix("old.csv.zst").display().to_string();
    let settings = [("FREEHOLD_SIM_VERSION", "11020")];
    let refused = with_driver(&["replay", &trace, "--scale", "256", "--device", "cuda:0", "--json"], &settings);
    let said = String::from_utf8_lossy(&refused.stderr);
    assert_eq!((refused.status.code(), said.lines().count()), (Some(2), 1), "{said}");
    assert!(said.contains("11.2") && said.contains("11.4"), "{said}");
    let replay = json(&with_driver(&["replay", &trace, "--scale", "256", "--json"], &settings));
    assert_eq!((&replay["device"], &replay["mismatches"]), (&"host".into(), &0.into()));
    assert_eq!(json(&with_driver(&["info", "--json"], &settings))["driver"], "11.2");
}
