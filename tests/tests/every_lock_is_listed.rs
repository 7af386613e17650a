//! ARCHITECTURE, "Every lock", is true: each lock that `cuda` declares is a row of that table, by its type and field, and each
//! row is a lock that it declares. So nobody adds one without saying what it is held around and who waits for it.
//!
//! A lock is a field, a tuple struct or a static of one of these types: `Mutex`, `RwLock`, `Condvar`, the blocking `Once`,
//! `OnceLock` and `LazyLock`, and event-listener's `Event`, which has a lock inside. Not covered: the command, which is not in the
//! library, and what dependencies have.

use std::collections::BTreeSet;
use std::path::Path;

const LOCKS: [&str; 7] = ["Mutex", "RwLock", "Condvar", "Once", "OnceLock", "LazyLock", "Event"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests lie in the repository")
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// `Type::field`, `Type` or `STATIC` of each lock that a source declares.
fn declared(source: &str) -> BTreeSet<String> {
    let (mut locks, mut within) = (BTreeSet::new(), "");
    let listens = source.contains("event_listener::Event");
    let is_lock = |word: &str| LOCKS.contains(&word) && (word != "Event" || listens);
    for line in source.lines().map(str::trim).filter(|line| !line.starts_with("//") && !line.starts_with("use ")) {
        let parts = line.split_once(':').map(|(before, after)| (words(before).last().unwrap_or_default(), after));
        if let Some((_, named)) = line.split_once("struct ") {
            within = words(named).next().unwrap_or_default();
            locks.extend(words(named).any(is_lock).then(|| within.to_owned()));
        } else if let Some((name, _)) = parts.filter(|(_, kind)| is_type(kind, is_lock)) {
            let is_static = line.contains("static ");
            let name = if is_static { name.to_owned() } else { format!("{within}::{name}") };
            locks.extend((is_static || line.ends_with(',')).then_some(name));
        }
    }
    locks
}

/// Whether what follows a colon is the type of a lock, and no path or value in which the word comes.
fn is_type(kind: &str, is_lock: impl Fn(&str) -> bool) -> bool {
    let kind = kind.split('=').next().unwrap_or_default().trim_start_matches([' ', '[']);
    let kind = kind.strip_prefix("event_listener::").unwrap_or(kind);
    kind.split(['<', ',', ' ']).next().is_some_and(is_lock) && !kind.contains("::new")
}

/// The names in the first column of the table.
fn listed(architecture: &str) -> BTreeSet<String> {
    let (_, section) = architecture.split_once("\n## Every lock\n").expect("the section");
    let (section, _) = section.split_once("\n## ").expect("the next section");
    let rows = section.lines().filter(|line| line.starts_with("| ")).filter_map(|row| row.split('|').nth(1));
    rows.flat_map(|first| first.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_lock_is_listed_and_every_row_is_a_lock() {
    let sources = freehold_tests::files::sources(&root().join("cuda/src"));
    let library = sources.iter().filter(|path| !path.components().any(|part| part.as_os_str() == "bin"));
    let declared: BTreeSet<String> =
        library.flat_map(|path| declared(&std::fs::read_to_string(path).unwrap())).collect();
    let listed = listed(&std::fs::read_to_string(root().join("ARCHITECTURE.md")).unwrap());
    let missing: Vec<_> = declared.difference(&listed).collect();
    let gone: Vec<_> = listed.difference(&declared).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not in the table: {missing:?}; in it and not declared: {gone:?}");
    assert!(declared.len() > 15, "{} locks are not all of cuda", declared.len());
}
