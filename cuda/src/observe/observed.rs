//! What was seen: the counts behind the statistics, and the log. Every hook is one call from where the thing happens.
//!
//! Counts of what happens on a fast path lie in cells of one writer each (`seat.rs`), and are summed when somebody asks. What
//! copies bytes, evicts or asks the device takes longer by itself than any counter.

use super::collect::Marks;
use super::log::{EventLog, Op, eviction};
use super::roster::Roster;
use crate::arena::Place;
use crate::counters::Counter;
use crate::inner::Inner;
use crate::observer::Event;
use crate::place::Want;
use crate::plugin::Plugin;
use crate::seat::Cells;
use crate::tenant::{Departure, Tenant};
use freehold_core::{Bytes, Entry};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// PyTorch's boundary between its small pool and its large one: requests of at most this many bytes are small.
pub(crate) const SMALL_BYTES: u64 = 1 << 20;

/// Counts of blocks, for small requests; those for large ones follow.
pub(crate) const COUNTS: usize = 6;
pub(crate) const GIVEN: usize = 0;
pub(crate) const GIVEN_BYTES: usize = 1;
pub(crate) const GIVEN_REQUESTED: usize = 2;
pub(crate) const BACK: usize = 3;
pub(crate) const BACK_BYTES: usize = 4;
pub(crate) const BACK_REQUESTED: usize = 5;

/// Priorities told apart in counts; the rest is counted under the last that was met.
const PRIORITIES: usize = 256;

/// A manager's counts and log.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    pub(crate) log: Option<Arc<EventLog>>,
    /// Blocks that entries were given, and gave back.
    pub(crate) blocks: Cells<{ 2 * COUNTS }>,
    /// Accesses that found their entry absent or busy.
    pub(crate) misses: Counter,
    pub(crate) priorities: Mutex<BTreeMap<i32, Departed>>,
    pub(crate) roster: Roster,
    pub(crate) marks: Mutex<Marks>,
}

/// What was done to entries while they had one priority.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Departed {
    pub(crate) loads: u64,
    pub(crate) load_bytes: u64,
    pub(crate) evictions: u64,
    pub(crate) evicted_bytes: u64,
    pub(crate) moves: u64,
    pub(crate) moved_bytes: u64,
}

impl Observed {
    pub(crate) fn new(log: Option<Arc<EventLog>>, nobody: &Plugin) -> Self {
        let observed = Observed { log, ..Observed::default() };
        observed.met(nobody);
        observed
    }

    /// A plugin was made.
    pub(crate) fn met(&self, plugin: &Plugin) {
        self.roster.enter(plugin);
        if let Some(log) = &self.log {
            log.name_plugin(plugin.number(), &plugin.shared_name());
        }
    }

    /// A sum over both sizes of requests, or of one: `which` is one of the counts above.
    pub(crate) fn blocks(&self, which: usize) -> [u64; 2] {
        [self.blocks.sum(which), self.blocks.sum(COUNTS + which)]
    }

    fn at_priority(&self, priority: i32, count: impl FnOnce(&mut Departed)) {
        let priorities = &mut *self.priorities.lock();
        let known = priorities.len() < PRIORITIES || priorities.contains_key(&priority);
        let other = priorities.range(..=priority).next_back().map(|(&near, _)| near);
        let priority = if known { priority } else { other.unwrap_or(i32::MIN) };
        count(priorities.entry(priority).or_default());
    }
}

/// While an entry's bytes are brought, from a source or from host memory.
pub(crate) fn materialise_span(entry: &Entry<Tenant>) -> tracing::span::EnteredSpan {
    let tenant = entry.payload();
    let (bytes, label, plugin) = (tenant.bytes.get(), &*tenant.label, tenant.plugin.name());
    tracing::debug_span!("materialise", id = entry.id(), bytes, label, plugin).entered()
}

/// Where the counts of a request of this size begin.
fn class(bytes: Bytes) -> usize {
    if bytes.get() <= SMALL_BYTES { 0 } else { COUNTS }
}

impl Departure {
    /// How the log calls the beginning and the end of such an entry.
    fn ops(self, tenant: &Tenant) -> (Op, Op) {
        match (self, &tenant.account) {
            (Departure::Fixed, Some(_)) => (Op::Acquire, Op::Release),
            (Departure::Fixed, None) => (Op::Alloc, Op::Free),
            _ => (Op::Load, Op::Unload),
        }
    }
}

impl Inner {
    /// Writes a record, if there is a log; its numbers are worked out for it only.
    #[inline]
    fn log(&self, op: Op, entry: &Entry<Tenant>, numbers: impl FnOnce() -> [u64; 3]) {
        if let Some(log) = &self.observed.log {
            log.note(op, entry.payload().plugin.number(), entry.id(), numbers());
        }
    }

    /// An entry became known.
    pub(crate) fn saw_begin(&self, entry: &Entry<Tenant>) {
        if let Some(log) = &self.observed.log {
            let tenant = entry.payload();
            let (begin, _) = tenant.departure.ops(tenant);
            log.note_named(begin, tenant.plugin.number(), entry.id(), tenant.bytes.get(), &tenant.label);
        }
    }

    /// One more consumer of shared weights.
    pub(crate) fn saw_share(&self, entry: &Entry<Tenant>, plugin: Option<&Plugin>) {
        if let Some(log) = &self.observed.log {
            let plugin = plugin.unwrap_or(&self.nobody);
            log.note(Op::Share, plugin.number(), entry.id(), [entry.payload().bytes.get(), 0, 0]);
        }
    }

    /// An entry is used, or is about to be brought at once.
    #[inline]
    pub(crate) fn saw_use(&self, entry: &Entry<Tenant>) {
        if self.observed.log.is_some() {
            self.log_use(entry);
        }
    }

    #[inline(never)]
    fn log_use(&self, entry: &Entry<Tenant>) {
        if entry.payload().departure != Departure::Fixed {
            self.log(Op::Access, entry, || [entry.payload().bytes.get(), 0, 0]);
        }
    }

    /// Its last owner let it go.
    pub(crate) fn saw_end(&self, entry: &Entry<Tenant>) {
        let tenant = entry.payload();
        let (_, end) = tenant.departure.ops(tenant);
        self.log(end, entry, || [tenant.bytes.get(), 0, 0]);
    }

    /// It was given a block.
    pub(crate) fn saw_placed(&self, entry: &Entry<Tenant>, place: Place) {
        self.saw_block(Op::Placed, [GIVEN, GIVEN_BYTES, GIVEN_REQUESTED], entry, place);
    }

    /// Its block is about to go back.
    pub(crate) fn saw_left(&self, entry: &Entry<Tenant>, place: Place) {
        self.saw_block(Op::Left, [BACK, BACK_BYTES, BACK_REQUESTED], entry, place);
    }

    fn saw_block(&self, op: Op, [blocks, whole, asked]: [usize; 3], entry: &Entry<Tenant>, place: Place) {
        let bytes = entry.payload().bytes;
        let (at, reserved, requested) = (class(bytes), self.reserved(bytes).get(), bytes.get());
        self.observed.blocks.add([(at + blocks, 1), (at + whole, reserved), (at + asked, requested)]);
        self.log(op, entry, || [requested, self.address_of(place), reserved]);
    }

    /// Its bytes were brought.
    pub(crate) fn saw_loaded(&self, entry: &Entry<Tenant>) {
        let (tenant, priority) = (entry.payload(), entry.priority());
        self.traffic.tally.loaded(tenant.bytes);
        tenant.plugin.tally().loaded(tenant.bytes);
        self.observed.at_priority(priority, |counts| {
            counts.loads += 1;
            counts.load_bytes += tenant.bytes.get();
        });
        self.log(Op::Loaded, entry, || [tenant.bytes.get(), 0, priority as u64]);
    }

    /// It left for a request.
    pub(crate) fn saw_evicted(&self, entry: &Entry<Tenant>, priority: i32, want: &Want<'_>) {
        let tenant = entry.payload();
        self.traffic.tally.evicted(tenant.bytes);
        tenant.plugin.tally().evicted(tenant.bytes);
        self.observed.at_priority(priority, |counts| {
            counts.evictions += 1;
            counts.evicted_bytes += tenant.bytes.get();
        });
        let needed_by = want.plugin.number();
        self.log(Op::Evicted, entry, || [tenant.bytes.get(), eviction(priority, needed_by), want.bytes.get()]);
    }

    /// Its bytes are elsewhere in the arena now.
    pub(crate) fn saw_moved(&self, entry: &Entry<Tenant>, from: Place, to: Place) {
        let tenant = entry.payload();
        self.traffic.tally.moved(tenant.bytes);
        tenant.plugin.tally().moved(tenant.bytes);
        self.observed.at_priority(entry.priority(), |counts| {
            counts.moves += 1;
            counts.moved_bytes += tenant.bytes.get();
        });
        self.log(Op::Moved, entry, || [tenant.bytes.get(), self.address_of(from), self.address_of(to)]);
    }

    /// A request found no room.
    pub(crate) fn saw_refused(&self, bytes: Bytes, plugin: &Plugin) -> Event {
        self.traffic.tally.refusals.add(1);
        plugin.tally().refusals.add(1);
        tracing::info!(requested = bytes.get(), plugin = plugin.name(), "out of memory");
        if let Some(log) = &self.observed.log {
            log.note(Op::Refused, plugin.number(), 0, [bytes.get(), 0, self.traffic.budget.free().get()]);
        }
        Event::Refused { requested: bytes, plugin: plugin.shared_name() }
    }

    fn address_of(&self, place: Place) -> u64 {
        self.span_at(place, Bytes::ZERO).address().0
    }
}
