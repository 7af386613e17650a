//! A lookup races the retirement of what it finds. The model is `epoch/tests/get_against_retire.rs`: it needs
//! crossbeam-epoch on loom too, hence rustflags, hence a cargo of its own, which this test runs.

use std::path::Path;
use std::process::Command;

/// Three preemptions run for more than a minute, two for some seconds.
const PREEMPTIONS: &str = "2";

#[test]
fn what_a_guard_sees_is_not_dropped() {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("epoch/Cargo.toml");
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("epoch");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["test", "--manifest-path"]).arg(manifest).arg("--target-dir").arg(target).args(["--", "--nocapture"]);
    cargo.env("RUSTFLAGS", "--cfg crossbeam_loom").env_remove("CARGO_ENCODED_RUSTFLAGS");
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        cargo.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS);
    }

    let output = cargo.output().expect("cargo runs, since it runs us");
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}\n{complained}");
    let explored = said.lines().find_map(|line| line.strip_prefix("explored ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(explored.is_some_and(|interleavings| interleavings > 1), "no race was explored:\n{said}");
}
