//! Every test that `tests/BEHAVIOURS.md` names exists, and every behaviour it is to cover has one.

use std::path::Path;

fn table() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("BEHAVIOURS.md")).expect("the table is there")
}

/// The `file::function` names of a text.
fn names(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split('`')
        .skip(1)
        .step_by(2)
        .filter(|quoted| *quoted != "file::function")
        .filter_map(|quoted| quoted.split_once("::"))
}

#[test]
fn every_named_test_exists() {
    let (table, mut counted) = (table(), 0);
    for (file, function) in names(&table) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(file).with_extension("rs");
        let source = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(source.contains(&format!("fn {function}(")), "{file} has no {function}");
        counted += 1;
    }
    assert!(counted > 80, "{counted} names were found");
}

#[test]
fn every_behaviour_has_a_test() {
    let table = table();
    let wanted = [('A', 1..=10), ('B', 1..=11), ('C', 1..=14), ('D', 1..=8), ('E', 1..=6), ('G', 1..=5), ('H', 1..=3)];
    let wanted =
        wanted.into_iter().flat_map(|(letter, numbers)| numbers.map(move |number| format!("{letter}{number}")));
    for behaviour in wanted.chain([String::from("E8")]) {
        let row = table.lines().find(|line| {
            let first = line.split('|').nth(1).unwrap_or_default();
            first.split(',').any(|number| number.trim() == behaviour)
        });
        assert!(row.is_some_and(|row| names(row).count() > 0), "{behaviour} has no test");
    }
}
