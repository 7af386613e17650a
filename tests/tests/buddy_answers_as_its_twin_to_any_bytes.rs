//! Any bytes, read as a sequence of operations, get from the buddy the answers that its naive twin allows: the oracle of the fuzz
//! target, on the inputs that fuzzing kept (`fuzz/corpus.hex`), and on random bytes by seed.
//!
//! Not covered: what only the fuzzer would find. `fuzz/README.md` says what it ran.

use freehold_tests::buddy_oracle::run;
use freehold_tests::seeded::{Random, under_seeds};

#[test]
fn on_what_fuzzing_kept() {
    let corpus = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus.hex")).unwrap();
    let steps: usize = corpus.lines().map(|line| run(&bytes(line))).sum();
    assert!(steps > 3_000, "{steps} operations are no corpus");
}

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).expect("two hexadecimal digits a byte");
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn on_random_bytes() {
    under_seeds(200, |seed| {
        let mut random = Random::new(seed, 0);
        let length = 16 << random.below(8);
        let tape: Vec<u8> = (0..length).map(|_| random.below(256) as u8).collect();
        assert!(run(&tape) > 0, "the bytes of seed {seed} say nothing");
    });
}
