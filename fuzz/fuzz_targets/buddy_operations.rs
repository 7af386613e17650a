//! The buddy and its naive twin under operation sequences that a fuzzer makes up: see the oracle's head for what is watched.
#![no_main]

#[path = "../../tests/src/buddy_oracle.rs"]
mod buddy_oracle;
#[path = "../../tests/src/buddy_twin.rs"]
mod buddy_twin;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    buddy_oracle::run(bytes);
});
