//! A snapshot as the pickle that PyTorch's memory viewer loads (`torch.cuda.memory._snapshot`, `_memory_viz.py`, MemoryViz.js).
//!
//! Device 0 is the card: its segments are our regions, its blocks the entries' blocks; with a log, its trace is what happened
//! (`history.rs`). The frames of a block, which the viewer shows where one points, are its label, its plugin and its state. Device 1 is
//! what is not on the card, as one segment at addresses of no meaning, to which it seems to come when the snapshot is taken. Whatever the viewer has no word for is there under a key of ours.

use super::history;
use super::snapshot::{ArenaShot, DepartureShot, EntryShot, EntryState, PieceKind, Snapshot};
use super::value::Value;
use std::io::{self, Write};
use std::rc::Rc;

/// What a block is, in the viewer's words.
fn state(shot: &EntryShot) -> &'static str {
    match shot.state {
        EntryState::Evicting => "active_pending_free",
        _ => "active_allocated",
    }
}

/// Our own word for it.
fn word(shot: &EntryShot) -> &'static str {
    match shot.state {
        EntryState::Resident => "resident",
        EntryState::Pinned => "pinned",
        EntryState::Materialising => "materialising",
        EntryState::Evicting => "evicting",
        EntryState::Moving => "moving",
        EntryState::Evicted => "evicted",
    }
}

impl Snapshot {
    /// Writes it as the pickle that PyTorch's memory viewer loads: <https://docs.pytorch.org/memory_viz>, or
    /// `torch.cuda._memory_viz`. With a log it has the history too.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_pickle(&self, mut out: impl Write) -> io::Result<()> {
        out.write_all(&self.dictionary().to_pickle())
    }

    fn dictionary(&self) -> Value {
        let mut segments: Vec<Value> = self.arenas.iter().map(segment).collect();
        let (absent, arrivals) = self.absent().unzip();
        segments.extend(absent);
        let history = self.log.as_ref().map_or_else(Vec::new, |log| history::events(log));
        // The history first: what is said most often gets the shortest numbers to be referred to by.
        Value::dict([
            ("device_traces", Value::List(vec![Value::List(history), Value::List(arrivals.unwrap_or_default())])),
            ("segments", Value::List(segments)),
            ("allocator_settings", self.settings()),
            ("external_annotations", Value::List(Vec::new())),
            ("freehold", self.ours()),
        ])
    }

    /// PyTorch's settings, as far as they have a meaning here, and ours: the viewer shows them all.
    fn settings(&self) -> Value {
        let log = self.log.as_ref();
        Value::dict([
            ("PYTORCH_CUDA_ALLOC_CONF", Value::text("")),
            ("max_split_size", Value::Int(-1)),
            ("garbage_collection_threshold", Value::Float(0.0)),
            ("expandable_segments", Value::Bool(false)),
            ("pinned_num_register_threads", Value::Int(0)),
            ("release_lock_on_cudamalloc", Value::Bool(false)),
            ("pinned_use_cuda_host_register", Value::Bool(false)),
            ("roundup_power2_divisions", Value::dict([])),
            ("trace_alloc_max_entries", Value::number(log.map_or(0, |log| log.capacity() as u64))),
            ("trace_alloc_overflowed", Value::Bool(log.is_some_and(|log| log.lost() > 0))),
            ("freehold_device", Value::text(&self.device)),
            ("freehold_budget_bytes", Value::number(self.budget_bytes)),
            ("freehold_granule_bytes", Value::number(self.granule_bytes)),
        ])
    }

    fn ours(&self) -> Value {
        let statistics = self.statistics.iter().map(|(key, &number)| (Rc::from(key.as_str()), Value::Int(number)));
        Value::dict([
            ("schema", Value::text(self.schema)),
            ("budget_bytes", Value::number(self.budget_bytes)),
            ("statistics", Value::Named(statistics.collect())),
            ("lost_records", Value::number(self.log.as_ref().map_or(0, |log| log.lost()))),
        ])
    }

    /// What has no memory, side by side, and how the viewer is told of it. An entry of no bytes is nowhere.
    fn absent(&self) -> Option<(Value, Vec<Value>)> {
        let total: u64 = self.absent.iter().map(|shot| shot.bytes).sum();
        let mut end = 0;
        let placed = self.absent.iter().filter(|shot| shot.bytes > 0).map(|shot| {
            end += shot.bytes;
            (end - shot.bytes, shot)
        });
        let placed: Vec<(u64, &EntryShot)> = placed.collect();
        let blocks = placed.iter().map(|(at, shot)| block(*at, shot.bytes, shot)).collect();
        let arrival = |&(at, shot): &(u64, &EntryShot)| (at, shot.bytes, frames_of(shot), shot.plugin.to_string());
        let arrivals = history::arrivals(total, placed.iter().map(arrival));
        (total > 0).then(|| (segment_of(1, 0, total, [total; 3], "not on the card", blocks), arrivals))
    }
}

fn segment(arena: &ArenaShot) -> Value {
    let entries = || arena.pieces.iter().filter_map(|piece| Some((piece, piece.entry.as_ref()?)));
    let allocated: u64 = entries().map(|(piece, _)| piece.bytes).sum();
    let requested: u64 = entries().map(|(_, shot)| shot.bytes).sum();
    let blocks = arena.pieces.iter().map(|piece| match &piece.entry {
        Some(shot) => block(arena.address + piece.offset, piece.bytes, shot),
        None => Value::dict([
            ("address", Value::number(arena.address + piece.offset)),
            ("size", Value::number(piece.bytes)),
            ("requested_size", Value::number(0)),
            ("state", Value::text("inactive")),
            ("frames", Value::List(Vec::new())),
            ("freehold_state", Value::text(if piece.kind == PieceKind::Free { "free" } else { "unknown" })),
        ]),
    });
    let name = format!("region {}", arena.index);
    segment_of(0, arena.address, arena.bytes, [allocated, allocated, requested], &name, blocks.collect())
}

fn segment_of(device: i64, address: u64, total: u64, sizes: [u64; 3], name: &str, blocks: Vec<Value>) -> Value {
    let [allocated, active, requested] = sizes.map(Value::number);
    Value::dict([
        ("device", Value::Int(device)),
        ("address", Value::number(address)),
        ("total_size", Value::number(total)),
        ("allocated_size", allocated),
        ("active_size", active),
        ("requested_size", requested),
        ("stream", Value::Int(0)),
        ("segment_type", Value::text("large")),
        ("segment_pool_id", Value::List(vec![Value::Int(0), Value::Int(0)])),
        ("is_expandable", Value::Bool(false)),
        ("frames", Value::List(vec![frame("", 0, name)])),
        ("blocks", Value::List(blocks)),
    ])
}

fn block(address: u64, size: u64, shot: &EntryShot) -> Value {
    Value::dict([
        ("address", Value::number(address)),
        ("size", Value::number(size)),
        ("requested_size", Value::number(shot.bytes)),
        ("state", Value::text(state(shot))),
        ("frames", frames_of(shot)),
        ("freehold_state", Value::text(word(shot))),
        ("label", Value::text(&shot.label)),
        ("plugin", Value::text(&shot.plugin)),
        ("id", Value::number(shot.id)),
        ("priority", Value::Int(shot.priority.into())),
        ("pins", Value::number(shot.pins)),
        ("consumers", Value::Int(shot.consumers.into())),
    ])
}

fn frames_of(shot: &EntryShot) -> Value {
    frames(&shot.plugin, shot.id, &shot.label, &standing(shot))
}

/// Its state and what decides about its leaving, in a few words.
fn standing(shot: &EntryShot) -> String {
    let mut said = format!("{}, priority {}", word(shot), shot.priority);
    if shot.consumers > 1 {
        said += ", shared";
    }
    said + match shot.departure {
        DepartureShot::Fixed => ", fixed",
        DepartureShot::Spilled if shot.spilled => ", in host memory",
        _ => "",
    }
}

/// A plugin as the viewer shows it: also where none was named.
pub(super) fn shown(plugin: &str) -> &str {
    if plugin.is_empty() { "(no plugin)" } else { plugin }
}

/// The viewer prints `filename:line:name` of each frame, the innermost first; a flame graph is built from the outermost inwards, so the
/// plugin and what is so or happened come last: alike of many entries they make one flame.
pub(super) fn frames(plugin: &str, id: u64, label: &str, what: &str) -> Value {
    Value::List(vec![frame(plugin, id, label), frame(plugin, 0, what)])
}

pub(super) fn frame(plugin: &str, line: u64, name: &str) -> Value {
    Value::dict([("filename", Value::text(shown(plugin))), ("line", Value::number(line)), ("name", Value::text(name))])
}
