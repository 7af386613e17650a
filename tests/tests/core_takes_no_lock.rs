//! The core takes no lock: its `clippy.toml` bans the types of locks, the continuous check runs clippy with warnings as errors,
//! and clippy does refuse them: a package of one function per type fails under that very file.
//!
//! Where the toolchain has no clippy this says so and shows the words alone: no file of the core names such a type.
//! Not covered: a lock made of an atomic and a loop. ARCHITECTURE argues, operation by operation, that there is none.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LOCKS: [&str; 7] = ["Mutex", "RwLock", "Condvar", "Barrier", "Once", "OnceLock", "LazyLock"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the repository")
}

/// A package outside the workspace with one public alias for each type named.
fn package(name: &str, types: &[&str]) -> PathBuf {
    let package = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::create_dir_all(package.join("src")).unwrap();
    let manifest = format!("[package]\nname = \"{name}\"\nedition = \"2024\"\n\n[workspace]\n");
    std::fs::write(package.join("Cargo.toml"), manifest).unwrap();
    let uses: String = types.iter().map(|name| format!("pub use std::sync::{name};\n")).collect();
    std::fs::write(package.join("src/lib.rs"), uses).unwrap();
    package
}

fn clippy(package: &Path) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["clippy", "--offline", "--manifest-path"]).arg(package.join("Cargo.toml"));
    cargo.args(["--target-dir"]).arg(package.join("target")).args(["--", "-D", "warnings"]);
    cargo.env("CLIPPY_CONF_DIR", root().join("core")).output().expect("cargo runs, since it runs us")
}

fn there_is_clippy() -> bool {
    Command::new(env!("CARGO")).args(["clippy", "--version"]).output().is_ok_and(|output| output.status.success())
}

#[test]
fn clippy_refuses_each_lock_under_the_cores_own_file() {
    if !there_is_clippy() {
        println!("no clippy in this toolchain: not shown");
        return;
    }
    let said = clippy(&package("harmless", &["Arc", "Weak"]));
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    let refused = clippy(&package("locks", &LOCKS));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success(), "it let them pass");
    for lock in LOCKS {
        assert!(
            said.contains(&format!("disallowed type `std::sync::{lock}`")),
            "it let std::sync::{lock} pass:\n{said}"
        );
    }
}

#[test]
fn no_file_of_the_core_names_one() {
    let mut files = 0;
    for file in freehold_tests::files::sources(&root().join("core/src")) {
        files += 1;
        let text = std::fs::read_to_string(&file).unwrap();
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim_start().starts_with("//")) {
            let word = line.split(|c: char| !c.is_alphanumeric() && c != '_').find(|word| LOCKS.contains(word));
            assert_eq!(word, None, "{}:{number}", file.display());
        }
    }
    assert!(files > 30, "{files} files are not the core");
}
