//! The core and all that it depends on do without std: a program that has none type-checks with it.
//!
//! The program is `no_std_check`, a package outside the workspace, checked by a cargo of its own. That the check can fail is
//! the second test: with crossbeam-epoch's `std` switched on it does, with E0152.
//! Not covered: linking for a target that has no std.

use std::path::Path;
use std::process::{Command, Output};

fn check(more: &[&str]) -> Output {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("no_std_check/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("no_std_check");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["check", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(target).args(more);
    cargo.output().expect("cargo runs, since it runs us")
}

#[test]
fn core_is_no_std() {
    let output = check(&[]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_check_fails_when_std_gets_in() {
    let output = check(&["--features", "std-creeps-in"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("E0152"), "{said}");
}
