//! Switches the core's sources, compiled here a second time, over to loom's atomics.
fn main() {
    println!("cargo::rustc-cfg=freehold_loom");
    println!("cargo::rerun-if-changed=build.rs");
}
