//! How tests drive the built command, and how they make traces of their own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// What a replay did, as its JSON counts it: the same work done again comes to the same.
pub(crate) const COUNTS: [&str; 11] = [
    "allocations",
    "accesses",
    "loads",
    "load_bytes",
    "evictions",
    "evicted_bytes",
    "moves",
    "moved_bytes",
    "refused",
    "too_large",
    "mismatches",
];

/// Runs the command with these words.
pub(crate) fn freehold(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_freehold")).args(words).output().expect("the command starts")
}

/// A bundled trace.
pub(crate) fn bundled(name: &str) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the workspace");
    root.join("tests/traces").join(name).display().to_string()
}

/// The one JSON object that a successful run printed.
pub(crate) fn json(words: &[&str]) -> Value {
    let output = freehold(words);
    let (out, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{words:?} ended with {}: {error}", output.status);
    assert_eq!(out.lines().count(), 1, "one object and nothing else on stdout: {out}");
    serde_json::from_str(&out).expect("the line is JSON")
}

/// A figure of a JSON object.
pub(crate) fn figure(object: &Value, name: &str) -> u64 {
    object[name].as_u64().unwrap_or_else(|| panic!("{name} is no whole number in {object}"))
}

/// The one line on stderr with which a run refused bad input.
pub(crate) fn refusal(words: &[&str]) -> String {
    let output = freehold(words);
    let error = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words:?}: bad input is exit code 2: {error}");
    assert_eq!(error.lines().count(), 1, "{words:?}: one line, not {error:?}");
    assert!(output.stdout.is_empty(), "{words:?}: nothing on stdout");
    error
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Writes a file of a test's own, and says where.
pub(crate) fn file(name: &str, bytes: &[u8]) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, bytes).expect("the temporary folder can be written");
    path.display().to_string()
}

/// A compressed trace of these lines, the header put before them.
pub(crate) fn trace(name: &str, lines: &str) -> String {
    file(name, &compressed(&format!("# a test's own\nt_us,thread,op,id,bytes,stream,tag\n{lines}")))
}

pub(crate) fn compressed(text: &str) -> Vec<u8> {
    zstd::encode_all(text.as_bytes(), 3).expect("compression in memory succeeds")
}
