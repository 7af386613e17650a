//! A snapshot as the pickle that PyTorch's memory viewer loads (`torch.cuda.memory._snapshot`, `_memory_viz.py`, MemoryViz.js).
//!
//! Device 0 is the card: its segments are our regions, its blocks the entries' blocks; with a log, its trace is what happened. The
//! frames of a block, which the viewer shows where one points, are its label, its plugin and its state. Device 1 is what is not on the
//! card, as one segment at addresses of no meaning. Whatever the viewer has no word for is there under a key of ours.

use super::log::{Entry, EventLog, Op};
use super::snapshot::{ArenaShot, EntryShot, EntryState, PieceKind, Snapshot};
use super::value::Value;
use std::io::{self, Write};

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
        segments.extend(self.absent_segment());
        let history = self.log.as_ref().map_or_else(Vec::new, |log| traces(log));
        let settings = [
            ("PYTORCH_CUDA_ALLOC_CONF", Value::text("")),
            ("max_split_size", Value::Int(-1)),
            ("garbage_collection_threshold", Value::Float(0.0)),
            ("expandable_segments", Value::Bool(false)),
            ("pinned_num_register_threads", Value::Int(0)),
            ("release_lock_on_cudamalloc", Value::Bool(false)),
            ("pinned_use_cuda_host_register", Value::Bool(false)),
            ("roundup_power2_divisions", Value::dict([])),
        ];
        let statistics = self.statistics.iter().map(|(key, &number)| (key.as_str(), Value::Int(number)));
        Value::dict([
            ("segments", Value::List(segments)),
            ("device_traces", Value::List(vec![Value::List(history), Value::List(Vec::new())])),
            ("allocator_settings", Value::dict(settings)),
            ("external_annotations", Value::List(Vec::new())),
            (
                "freehold",
                Value::dict([
                    ("schema", Value::text(self.schema)),
                    ("budget_bytes", Value::number(self.budget_bytes)),
                    ("statistics", Value::dict(statistics)),
                    ("lost_records", Value::number(self.log.as_ref().map_or(0, |log| log.lost()))),
                ]),
            ),
        ])
    }

    /// What has no memory, side by side. An entry of no bytes is nowhere.
    fn absent_segment(&self) -> Option<Value> {
        let total: u64 = self.absent.iter().map(|shot| shot.bytes).sum();
        let mut address = 0;
        let blocks = self.absent.iter().filter(|shot| shot.bytes > 0).map(|shot| {
            let at = address;
            address += shot.bytes;
            block(at, shot.bytes, shot)
        });
        let blocks: Vec<Value> = blocks.collect();
        (total > 0).then(|| segment_of(1, 0, total, [total; 3], blocks))
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
    segment_of(0, arena.address, arena.bytes, [allocated, allocated, requested], blocks.collect())
}

fn segment_of(device: i64, address: u64, total: u64, sizes: [u64; 3], blocks: Vec<Value>) -> Value {
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
        ("frames", Value::List(Vec::new())),
        ("blocks", Value::List(blocks)),
    ])
}

fn block(address: u64, size: u64, shot: &EntryShot) -> Value {
    Value::dict([
        ("address", Value::number(address)),
        ("size", Value::number(size)),
        ("requested_size", Value::number(shot.bytes)),
        ("state", Value::text(state(shot))),
        ("frames", frames(&shot.label, &shot.plugin, shot.id, word(shot))),
        ("freehold_state", Value::text(word(shot))),
        ("label", Value::text(&shot.label)),
        ("plugin", Value::text(&shot.plugin)),
        ("id", Value::number(shot.id)),
        ("priority", Value::Int(shot.priority.into())),
        ("pins", Value::number(shot.pins)),
        ("consumers", Value::Int(shot.consumers.into())),
    ])
}

/// The viewer prints `filename:line:name` of each frame.
fn frames(label: &str, plugin: &str, id: u64, what: &str) -> Value {
    let frame = |name: &str| {
        Value::dict([("filename", Value::text(plugin)), ("line", Value::number(id)), ("name", Value::text(name))])
    };
    Value::List(vec![frame(label), frame(what)])
}

/// What happened, in the viewer's words. A block that goes is requested and completed at once: who gets it next waits, not who
/// frees it. Where the log lost records the viewer goes backwards as far as they reach.
fn traces(log: &EventLog) -> Vec<Value> {
    let history = log.history();
    let mut traces = Vec::new();
    for entry in &history.entries {
        let label = history.labels.get(&entry.id).map_or("", String::as_str);
        let mut trace = |action: &str, address: u64, bytes: u64| {
            let addressed = if action == "oom" { "device_free" } else { "addr" };
            let plugin = log.plugin_name(entry.plugin);
            traces.push(Value::dict([
                ("action", Value::text(action)),
                (addressed, Value::number(address)),
                ("size", Value::number(bytes)),
                ("stream", Value::Int(0)),
                ("time_us", Value::number(log.time_of(entry).as_micros() as u64)),
                ("frames", frames(label, &plugin, entry.id, why(entry))),
            ]));
        };
        match entry.op {
            Op::Placed => trace("alloc", entry.address, entry.rest),
            Op::Left => {
                trace("free_requested", entry.address, entry.rest);
                trace("free_completed", entry.address, entry.rest);
            }
            Op::Moved => {
                let bytes = entry.bytes.next_multiple_of(log.granule());
                trace("free_requested", entry.address, bytes);
                trace("free_completed", entry.address, bytes);
                trace("alloc", entry.rest, bytes);
            }
            Op::RegionCame => trace("segment_alloc", entry.address, entry.bytes),
            Op::RegionWent => trace("segment_free", entry.address, entry.bytes),
            Op::Refused => trace("oom", entry.rest, entry.bytes),
            _ => {}
        }
    }
    traces
}

fn why(entry: &Entry) -> &'static str {
    match entry.op {
        Op::Placed => "given a block",
        Op::Left => "gave it back",
        Op::Moved => "moved",
        Op::Refused => "refused",
        _ => "a region",
    }
}
