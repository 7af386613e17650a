//! Claim: bad input ends with exit code 2 and one line on stderr that names the file, the line and the fault.
//! Not covered: a device that fails while a replay runs.
#![allow(dead_code, reason = "each test file uses its part of the helpers")]

mod command;

use command::{bundled, compressed, file, freehold, refusal, text, trace};

/// What `replay` and `pack` say of a trace of these lines; they must say the same.
fn fault(name: &str, lines: &str) -> String {
    let path = trace(name, lines);
    let said = refusal(&["replay", &path]);
    assert_eq!(said, refusal(&["pack", &path]));
    said
}

#[test]
fn a_missing_file() {
    let said = refusal(&["replay", "no/such/trace.csv.zst"]);
    assert!(said.contains("no/such/trace.csv.zst: No such file"), "{said}");
    assert_eq!(said, refusal(&["pack", "no/such/trace.csv.zst"]));
}

#[test]
fn a_bad_line_with_its_number() {
    // Line 1 is a comment, line 2 the header.
    let said = fault("unknown_op.csv.zst", "0,0,alloc,1,64,0,a\n0,0,frobnicate,2,64,0,a\n");
    assert!(said.contains("unknown_op.csv.zst: line 4: unknown op `frobnicate`"), "{said}");
    let said = fault("bad_id.csv.zst", "0,0,alloc,one,64,0,a\n");
    assert!(said.contains("line 3: id `one` is not a whole number"), "{said}");
    let said = fault("negative.csv.zst", "0,0,alloc,1,-64,0,a\n");
    assert!(said.contains("line 3: bytes `-64` is not a whole number"), "{said}");
    let said = fault("fields.csv.zst", "0,0,alloc,1,64\n");
    assert!(said.contains("line 3: 5 fields instead of 7"), "{said}");
    let said = fault("late.csv.zst", "0,0,alloc,1,64,0,a\n# a comment counts as a line\n0,0,alloc,1,64,0,a\n");
    assert!(said.contains("line 5: alloc of id 1, which is not new"), "{said}");
}

#[test]
fn an_event_that_cannot_be() {
    let said = fault("never.csv.zst", "0,0,free,7,64,0,\n");
    assert!(said.contains("line 3: free of id 7, which was never allocated"), "{said}");
    let said = fault("twice.csv.zst", "0,0,alloc,7,64,0,a\n0,0,free,7,64,0,\n0,0,free,7,64,0,\n");
    assert!(said.contains("line 5: free of id 7, which is already gone"), "{said}");
    let said = fault("unloaded.csv.zst", "0,0,access,7,64,0,mm\n");
    assert!(said.contains("line 3: access of id 7, which was never loaded"), "{said}");
    let said = fault("kind.csv.zst", "0,0,acquire,7,64,0,a\n0,0,free,7,64,0,\n");
    assert!(said.contains("line 4: free of id 7, which was made by `acquire`"), "{said}");
    let said = fault("size.csv.zst", "0,0,alloc,7,64,0,a\n0,0,free,7,65,0,\n");
    assert!(said.contains("line 4: free of id 7 says 65 bytes, and it was made with 64"), "{said}");
}

#[test]
fn what_is_no_trace() {
    let said = refusal(&["replay", &file("plain.csv.zst", b"t_us,thread,op,id,bytes,stream,tag\n")]);
    assert!(said.contains("plain.csv.zst: line 1: the compressed data ends or is damaged here"), "{said}");
    let said = refusal(&["replay", &file("header.csv.zst", &compressed("time,op\n1,alloc\n"))]);
    assert!(said.contains("must be `t_us,thread,op,id,bytes,stream,tag`, not `time,op`"), "{said}");
    assert!(fault("empty.csv.zst", "").contains("holds no event"));
    let whole = std::fs::read(bundled("real_bcrafton_memory_snapshot_06f5.csv.zst")).unwrap();
    let said = refusal(&["replay", &file("cut_off.csv.zst", &whole[..whole.len() / 2])]);
    assert!(said.contains("the compressed data ends or is damaged here"), "{said}");
}

#[test]
fn unreadable_words() {
    let path = trace("fine.csv.zst", "0,0,alloc,1,4096,0,a\n");
    for budget in
        ["0", "-1", "-0.5", "0.0", "half", "1e3", "1.5GiB", "12XiB", "", ".", "99999999999999999999", "99999999999GiB"]
    {
        let said = refusal(&["replay", &path, &format!("--budget={budget}")]);
        assert!(said.contains("budget"), "{budget}: {said}");
    }
    assert!(refusal(&["replay", &path, "--budget", "511"]).contains("less than one granule of 512 bytes"));
    for words in
        [["--scale", "0"], ["--threads", "2"], ["--admission", "1"], ["--priority", "0:9"], ["--device", "gpu"]]
    {
        refusal(&[&["replay", &path], &words[..]].concat());
    }
    refusal(&["replay"]);
    refusal(&["pack"]);
    refusal(&["pack", &path, "--granule", "0"]);
    refusal(&["frobnicate"]);
}

#[test]
fn a_device_that_is_not_there() {
    let path = trace("device.csv.zst", "0,0,alloc,1,4096,0,a\n");
    let said = refusal(&["replay", &path, "--device", "cuda:97"]);
    assert!(said.contains("cuda:97"), "{said}");
    // More than this machine has is the device's to refuse.
    let said = refusal(&["replay", &path, "--device", "host", "--budget", "1048576GiB"]);
    assert!(said.contains("1125899906842624"), "{said}");
}

#[test]
fn help_is_no_failure() {
    let help = freehold(&["--help"]);
    assert!(help.status.success() && text(&help.stdout).contains("replay"), "help goes to stdout");
}

#[test]
fn a_priority_of_no_thread_names_the_threads_there_are() {
    let path = trace("threads.csv.zst", "0,3,alloc,1,4096,0,a\n0,1,alloc,2,4096,0,a\n");
    let said = refusal(&["replay", &path, "--priority", "1=5", "--priority", "2=9"]);
    assert!(said.contains("--priority 2=9") && said.contains("no thread 2, only 1, 3"), "{said}");
}

/// One line, whatever the name holds: a line break in a path, or what moves a terminal's cursor, is escaped.
#[test]
fn a_path_of_control_characters_is_quoted() {
    let said = refusal(&["replay", "no\nsuch\u{1b}[2Jtrace"]);
    assert!(said.contains(r#""no\nsuch\u{1b}[2Jtrace""#), "{said}");
    let path = trace("fine_path.csv.zst", "0,0,alloc,1,4096,0,a\n");
    let said = refusal(&["replay", &path, "--device", "host", "--log", "/no such\nfolder/log.csv.zst"]);
    assert!(said.contains(r#"cannot write "/no such\nfolder/log.csv.zst""#), "{said}");
}

/// Threads that the system does not give are bad luck, and no panic: none of the others begins.
#[test]
#[cfg(target_os = "linux")]
fn threads_that_are_not_given_are_one_line() {
    use std::process::Command;
    let lines: String = (0..1000).map(|thread| format!("0,{thread},alloc,{thread},512,0,a\n")).collect();
    let path = trace("thousand.csv.zst", &lines);
    // Address space for a few stacks, which are large: where one more finds no room, all else that a thread asks for still does.
    let limited = format!(
        "ulimit -v 600000; export RUST_MIN_STACK=67108864 MALLOC_ARENA_MAX=1; exec {:?} replay {path:?} --device host --threads all --json",
        env!("CARGO_BIN_EXE_freehold")
    );
    let output = Command::new("sh").args(["-c", &limited]).output().expect("there is a shell");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("gave no thread for each of the trace's 1000") && said.lines().count() == 1, "{said}");
}

/// What has no bytes fits into anything.
#[test]
fn a_trace_of_no_bytes_packs_without_waste() {
    let path = trace("nothing.csv.zst", "0,0,alloc,1,0,0,a\n0,0,free,1,0,0,a\n");
    let packed = command::json(&["pack", &path, "--json"]);
    assert_eq!((command::figure(&packed, "peak_live_bytes"), packed["ratio"].as_f64()), (0, Some(1.0)), "{packed}");
}
