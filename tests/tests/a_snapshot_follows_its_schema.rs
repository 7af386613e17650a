//! A snapshot as JSON is what `docs/snapshot.schema.json` says, shows every state that an entry can be seen in, and adds up to the
//! statistics. (The pickle for PyTorch's viewer is read by Python: `cuda/tests/a_recorded_log_replays_to_the_same_counts.rs`.)
//!
//! Not covered: `evicting` and `moving`, in which an entry is for the length of a copy only.

use freehold_cuda::observe::{EntryState, PieceKind};
use freehold_cuda::{Allocation, Bytes, SourceError, VramManager, source};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::world::{U, World, load, sourced, units, written};
use serde_json::Value;
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// As much of JSON Schema as ours uses; what it does not know, it does not let pass.
fn check(root: &Value, schema: &Value, value: &Value, at: &str) {
    for (word, rule) in schema.as_object().expect("a schema is an object") {
        let fits = match word.as_str() {
            "$schema" | "$id" | "title" | "description" | "$defs" | "additionalProperties" => true,
            "$ref" => {
                let name = rule.as_str().unwrap().strip_prefix("#/$defs/").expect("a definition of this file");
                check(root, &root["$defs"][name], value, at);
                true
            }
            "const" => value == rule,
            "enum" => rule.as_array().unwrap().contains(value),
            "minimum" => value.as_u64().is_some(),
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "boolean" => value.is_boolean(),
                "null" => value.is_null(),
                other => panic!("{at}: a type {other}"),
            },
            "anyOf" => {
                assert_eq!(rule.as_array().unwrap().len(), 2, "null or something");
                if !value.is_null() {
                    check(root, &rule[1], value, at);
                }
                true
            }
            "items" => {
                value
                    .as_array()
                    .unwrap()
                    .iter()
                    .enumerate()
                    .for_each(|(n, item)| check(root, rule, item, &format!("{at}[{n}]")));
                true
            }
            "required" => rule.as_array().unwrap().iter().all(|name| value.get(name.as_str().unwrap()).is_some()),
            "properties" => {
                for (name, item) in value.as_object().unwrap() {
                    let rule = rule.get(name).unwrap_or_else(|| panic!("{at}.{name} is not in the schema"));
                    check(root, rule, item, &format!("{at}.{name}"));
                }
                true
            }
            other => panic!("{at}: the schema says {other}, which nobody here knows"),
        };
        assert!(fits, "{at}: {value} is not {word} {rule}");
    }
}

fn checked(manager: &VramManager) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/snapshot.schema.json");
    let schema: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut json = Vec::new();
    manager.snapshot().write_json(&mut json).unwrap();
    let value: Value = serde_json::from_slice(&json).unwrap();
    check(&schema, &schema, &value, "snapshot");
    value
}

/// The pieces of each region stand side by side and fill it, and the sums are those of the statistics and the books.
fn assert_adds_up(manager: &VramManager) {
    let snapshot = manager.snapshot();
    let (mut blocks, mut bytes, mut requested, mut free, mut regions) = (0, 0, 0, 0, 0);
    for arena in &snapshot.arenas {
        let mut end = 0;
        for piece in &arena.pieces {
            assert_eq!((piece.offset, piece.kind == PieceKind::Block), (end, piece.entry.is_some()));
            assert!(piece.kind != PieceKind::Unknown, "nobody else is at work");
            end += piece.bytes;
            free += if piece.kind == PieceKind::Free { piece.bytes } else { 0 };
        }
        assert_eq!(end, arena.bytes);
        regions += arena.bytes;
        for (piece, entry) in arena.pieces.iter().filter_map(|piece| Some((piece, piece.entry.as_ref()?))) {
            (blocks, bytes, requested) = (blocks + 1, bytes + piece.bytes, requested + entry.bytes);
        }
    }
    let keys = ["allocation", "allocated_bytes", "requested_bytes", "reserved_bytes"];
    let told = keys.map(|key| snapshot.statistics[&format!("{key}.all.current")] as u64);
    assert_eq!([blocks, bytes, requested, regions], told);
    let books = manager.audit().unwrap();
    assert_eq!((Bytes(bytes), Bytes(free)), (books.resident, books.free));
    let known = snapshot.absent.len() as u64 + blocks;
    assert_eq!(known, books.handles as u64);
}

#[test]
fn it_adds_up_over_random_states() {
    under_seeds(30, |seed| {
        let mut random = Random::new(seed, 0);
        let manager = World::host().builder(40).arena_bytes(units(16)).build().unwrap();
        let mut handles = Vec::new();
        for number in 0..50 {
            let asked = sourced(number, Bytes(1 + random.below(9 * U)));
            handles.extend(manager.allocate(if random.once_in(4) { asked.fixed() } else { asked }));
            if random.once_in(3) {
                handles.swap_remove(random.below(handles.len() as u64) as usize);
            }
            assert_adds_up(&manager);
        }
        checked(&manager);
    });
}

#[test]
fn it_shows_every_state() {
    let manager = Arc::new(World::host().builder(10).build().unwrap());
    let evicted = load(&manager, 1, 2);
    let spilled = written(&manager, 2, Allocation::new(units(2)).label("mine alone"));
    manager.evict_for_space(units(10)).unwrap();
    let _fixed = manager.allocate(Allocation::new(units(1)).label("fixed").fixed()).unwrap();
    let shared = |name: &str| manager.acquire_shared_weights("key", sourced(3, units(1)).plugin(&manager.plugin(name)));
    let _sharers = (shared("one").unwrap(), shared("two").unwrap());
    let pinned = load(&manager, 4, 1);
    let _guards = (pinned.access().unwrap(), pinned.access().unwrap());
    // A source that looks while its entry is on its way.
    let seen = Arc::new(OnceLock::new());
    let looking = {
        let (seen, manager) = (Arc::clone(&seen), Arc::downgrade(&manager));
        source::closure(move |target: &mut [u8]| -> Result<(), SourceError> {
            target.fill(7);
            let manager = manager.upgrade().expect("it is still there");
            seen.set(checked(&manager)).expect("it is asked once");
            Ok(())
        })
    };
    let _arrived = manager.allocate(Allocation::new(units(1)).label("arriving").source(looking)).unwrap();
    let picture = seen.get().unwrap();
    let pieces = picture["arenas"][0]["pieces"].as_array().unwrap();
    let block = |label: &str| pieces.iter().map(|piece| &piece["entry"]).find(|entry| entry["label"] == label).unwrap();
    let absent =
        |label: &str| picture["absent"].as_array().unwrap().iter().find(|entry| entry["label"] == label).unwrap();
    assert_eq!(block("arriving")["state"], "materialising");
    assert_eq!((&block("number 4")["state"], &block("number 4")["pins"]), (&"pinned".into(), &2.into()));
    assert_eq!((&block("number 3")["consumers"], &block("number 3")["plugin"]), (&2.into(), &"one".into()));
    assert_eq!((&block("fixed")["departure"], &block("fixed")["state"]), (&"fixed".into(), &"resident".into()));
    assert_eq!((&absent("number 1")["state"], &absent("number 1")["spilled"]), (&"evicted".into(), &false.into()));
    assert_eq!(
        (&absent("mine alone")["spilled"], &absent("mine alone")["departure"]),
        (&true.into(), &"spilled".into())
    );
    assert_eq!(manager.snapshot().absent[0].state, EntryState::Evicted);
    drop((evicted, spilled));
}
