//! From the trace's ids to the manager's handles: what each event does.

use std::sync::Arc;

use freehold_core::Bytes;
use freehold_cuda::{
    Allocation, DeviceMemory, Error, ManualClock, Plugin, Policy, VramHandle, VramManager, VramManagerBuilder,
};
use parking_lot::RwLock;

use super::admission::{Admission, Patience, Share};
use super::checker;
use super::meter::Meter;
use super::offline::Offline;
use super::onlookers::Onlookers;
use super::setup::Setup;
use super::stock::Stock;
use super::watch::Watch;
use crate::args;
use crate::failure::Failure;
use crate::report::Recorder;
use crate::trace::{Event, Op, Trace};

/// What an id stands for now.
#[derive(Debug)]
pub(super) enum Entry {
    /// Nothing: not made yet, gone, or refused, in which case whatever else happens to it is skipped.
    Nothing,
    /// A block of its own, stamped; of a decode buffer, with its share of the job's lease.
    Block { handle: VramHandle, share: Option<Share> },
    /// A weight: one handle for each thread that uses it.
    Weight(Vec<(u16, VramHandle)>),
}

/// What every id stands for.
pub(super) type Entries = Vec<RwLock<Entry>>;

impl Entry {
    /// Whether this is a weight that has its memory.
    pub(super) fn is_resident(&self) -> bool {
        matches!(self, Entry::Weight(users) if users.iter().any(|(_, handle)| handle.is_resident()))
    }
}

/// A running replay: one manager, and what every id stands for. Shared by the threads that replay.
pub(super) struct World<'t> {
    pub(super) trace: &'t Trace,
    pub(super) setup: &'t Setup,
    pub(super) manager: VramManager,
    pub(super) plugins: Vec<Plugin>,
    pub(super) watch: Arc<Watch>,
    /// Where a picture is asked for.
    pub(super) recorder: Option<Arc<Recorder>>,
    offline: Option<Arc<Offline>>,
    pub(super) admission: Admission<'t>,
    clock: Arc<ManualClock>,
    stock: Stock,
    entries: Arc<Entries>,
}

impl<'t> World<'t> {
    /// A manager of the right budget, with nothing in it yet but the admission pool.
    pub(super) fn new(
        trace: &'t Trace,
        setup: &'t Setup,
        device: Arc<dyn DeviceMemory>,
        recorder: Option<Arc<Recorder>>,
    ) -> Result<World<'t>, Failure> {
        let entries: Arc<Entries> = Arc::new((0..trace.ids).map(|_| RwLock::new(Entry::Nothing)).collect());
        let (clock, watch) = (Arc::new(ManualClock::new()), Arc::new(Watch::new(entries.clone())));
        let offline = (setup.policy == args::Policy::Offline).then(|| Arc::new(Offline::of(trace)));
        let policy = match (setup.policy, &offline) {
            (args::Policy::NextUse, _) => Policy::PriorityNextUse,
            (_, Some(offline)) => Policy::Custom(offline.clone()),
            _ => Policy::PriorityLru,
        };
        let builder = VramManager::builder();
        let builder = setup.log_records.into_iter().fold(builder, VramManagerBuilder::event_log);
        let stock = Stock::new(setup.contents, trace.ids, device.clone());
        let manager = builder
            .device(device)
            .budget(setup.budget)
            .granule(Bytes(setup.scale.granule()))
            .moves(setup.moves)
            .policy(policy)
            .clock(clock.clone())
            .observer(Arc::new(Onlookers::new(watch.clone(), recorder.clone())))
            .build()?;
        let plugins =
            (0..trace.threads.len()).map(|thread| manager.plugin(&trace.thread_name(thread as u16))).collect();
        let admission = Admission::new(&manager, setup.pool, setup.fairness, &setup.plan)?;
        Ok(World { trace, setup, manager, plugins, watch, recorder, offline, admission, clock, stock, entries })
    }

    /// Lets the job in to which event number `index` belongs, where it acquires a buffer. False says: come back later.
    #[must_use]
    pub(super) fn admit(&self, index: usize, patience: Patience, meter: &mut Meter) -> bool {
        let event = &self.trace.events[index];
        let job = self.setup.plan.of(event.id).filter(|_| event.op == Op::Acquire);
        job.is_none_or(|job| self.admission.ask(job, patience, meter))
    }

    /// Does what event number `index` says. A job that acquires has been let in, or turned away, before.
    pub(super) fn step(&self, index: usize, meter: &mut Meter) {
        let (event, tick) = (&self.trace.events[index], index as u64 + 1);
        self.clock.set(tick);
        self.watch.request_begins();
        match event.op {
            Op::Load | Op::Share => self.join(event, meter),
            Op::Access => self.access(event, tick, meter),
            Op::Unload => self.unload(event),
            Op::Alloc | Op::Acquire => self.make(event, meter),
            Op::Free | Op::Release => self.end(event, meter),
            Op::Begin | Op::End => {}
        }
        self.record(|recorder| recorder.stepped(&self.manager));
    }

    /// The check of a last look: blocks that the trace never frees. Call it when no event is left.
    pub(super) fn check_the_living(&self, meter: &mut Meter) {
        for (id, entry) in self.entries.iter().enumerate() {
            if let Entry::Block { handle, .. } = &*entry.read() {
                checker::check_block(id as u32, handle, meter);
            }
        }
    }

    /// Lets a worker go that has no event left: what its jobs still hold, nobody would ever give back.
    pub(super) fn dismiss(&self, thread: u16, meter: &mut Meter) {
        let plan = &self.setup.plan;
        for (id, entry) in self.entries.iter().enumerate() {
            let of_thread = plan.of(id as u32).filter(|&job| plan.jobs[job].thread == thread);
            let entry = &mut *entry.write();
            if let (Some(job), Entry::Block { handle, share: Some(_) }) = (of_thread, &*entry) {
                checker::check_block(id as u32, handle, meter);
                *entry = Entry::Nothing;
                self.admission.abandon(job);
            }
        }
    }

    /// Lets everything go, and sees whether the manager's books close.
    pub(super) fn close(self, meter: &mut Meter) {
        if let Err(error) = self.manager.audit() {
            meter.mismatch(|| format!("audit: {error}"));
        }
        self.entries.iter().for_each(|entry| *entry.write() = Entry::Nothing);
        drop(self.admission);
        match self.manager.audit() {
            Ok(books) if books.resident == Bytes::ZERO && books.handles == 0 => {}
            Ok(books) => meter.mismatch(|| format!("after everything was released: {books:?}")),
            Err(error) => meter.mismatch(|| format!("audit at the end: {error}")),
        }
    }

    /// `load`, and `share`: a user more for a weight, absent or not. The first access brings its bytes.
    fn join(&self, event: &Event, meter: &mut Meter) {
        let entry = &mut *self.entry(event).write();
        if event.op == Op::Share && matches!(entry, Entry::Nothing) {
            return; // refused when it was loaded
        }
        let source = self.stock.source(event.id, Bytes(self.setup.scale.size(event.bytes)));
        let priority = self.setup.priorities[usize::from(event.thread)];
        let allocation = self.allocation(event).priority(priority).shared_source(source);
        let handle = if self.setup.shared[event.id as usize] {
            // An id is unique where a weight's name is not: an engine installed again loads its weights anew.
            self.manager.register_shared_weights(&format!("{}#{}", self.trace.tag(event), event.id), allocation)
        } else {
            self.manager.register(allocation)
        };
        let Some(handle) = self.granted(event, handle, meter) else { return *entry = Entry::Nothing };
        self.watch.know(handle.id(), event.id, handle.priority());
        self.record(|recorder| recorder.know(handle.id(), &Arc::from(handle.label()), handle.priority()));
        self.offline.iter().for_each(|offline| offline.know(handle.id(), event.id));
        match entry {
            Entry::Weight(users) => users.push((event.thread, handle)),
            _ => *entry = Entry::Weight(vec![(event.thread, handle)]),
        }
    }

    fn access(&self, event: &Event, tick: u64, meter: &mut Meter) {
        let refused = {
            let entry = self.entry(event).read();
            let Entry::Weight(users) = &*entry else { return };
            let own = users.iter().find(|(thread, _)| *thread == event.thread);
            let Some((_, handle)) = own.or(users.first()) else { return };
            self.watch.use_begins(event.id);
            let was_resident = handle.is_resident();
            let timer = if was_resident { &mut meter.access_resident } else { &mut meter.access_absent };
            let access = timer.time(|| handle.access());
            let access = self.granted(event, access, meter);
            if let Some(access) = &access {
                self.record(|recorder| recorder.used(handle.id()));
                checker::check_weight(event.id, access, tick, meter);
            }
            if !was_resident {
                self.prefetch(meter);
            }
            access.is_none()
        };
        self.watch.use_ends(event.id);
        if refused {
            self.unload(event);
        }
    }

    /// Brings what comes next, where that was asked for; on this thread, so that the figures are the same each time.
    fn prefetch(&self, meter: &mut Meter) {
        let Some(bytes) = self.setup.prefetch else { return };
        if let Err(error) = self.manager.prefetch_next(bytes) {
            meter.mismatch(|| format!("prefetch: {error}"));
        }
    }

    fn unload(&self, event: &Event) {
        let entry = std::mem::replace(&mut *self.entry(event).write(), Entry::Nothing);
        if let Entry::Weight(users) = entry {
            for (_, handle) in users.iter().take(1) {
                self.watch.forget(handle.id());
                self.record(|recorder| recorder.gone(handle.id()));
            }
        }
    }

    /// `alloc`, and `acquire`: a block that is never evicted, stamped.
    fn make(&self, event: &Event, meter: &mut Meter) {
        let job = self.setup.plan.of(event.id);
        if job.is_some_and(|job| self.admission.is_turned_away(job)) {
            return;
        }
        let mut allocation = self.allocation(event).fixed();
        let mut share = None;
        if let (Op::Acquire, Some(job)) = (event.op, job) {
            share = self.admission.split(job, self.setup.scale.reserved(event.bytes));
            allocation = self.admission.reservation().into_iter().fold(allocation, Allocation::within);
        }
        let handle = meter.allocate.time(|| self.manager.allocate(allocation));
        match self.granted(event, handle, meter) {
            Some(mut handle) => {
                checker::stamp_block(event.id, &mut handle, meter);
                *self.entry(event).write() = Entry::Block { handle, share };
            }
            None => self.give_back(event, share),
        }
    }

    /// `free`, and `release`: the mirror.
    fn end(&self, event: &Event, meter: &mut Meter) {
        let entry = std::mem::replace(&mut *self.entry(event).write(), Entry::Nothing);
        if let Entry::Block { handle, share } = entry {
            checker::check_block(event.id, &handle, meter);
            drop(handle); // the memory first: what is leased is never less than what is used
            self.give_back(event, share);
        }
        if let (Op::Release, Some(job)) = (event.op, self.setup.plan.of(event.id)) {
            self.admission.buffer_ended(job);
        }
    }

    fn give_back(&self, event: &Event, share: Option<Share>) {
        if let Some((job, share)) = self.setup.plan.of(event.id).zip(share) {
            self.admission.merge(job, share);
        }
    }

    fn entry(&self, event: &Event) -> &RwLock<Entry> {
        &self.entries[event.id as usize]
    }

    fn allocation(&self, event: &Event) -> Allocation {
        let plugin = &self.plugins[usize::from(event.thread)];
        let allocation = Allocation::new(Bytes(self.setup.scale.size(event.bytes))).plugin(plugin);
        // Only a picture shows names, and a replay makes many.
        if self.recorder.is_some() { allocation.label(self.trace.tag(event)) } else { allocation }
    }

    /// Tells the recorder, where there is one.
    fn record(&self, tell: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.recorder {
            tell(recorder);
        }
    }

    /// What was granted. A refusal is counted and is no error; any other failure must not be.
    fn granted<T>(&self, event: &Event, result: Result<T, Error>, meter: &mut Meter) -> Option<T> {
        if let Err(error) = &result {
            let (plugin, bytes) = (&self.plugins[usize::from(event.thread)], self.setup.scale.size(event.bytes));
            self.record(|recorder| recorder.refused(plugin.name(), bytes, error));
        }
        match result {
            Ok(granted) => return Some(granted),
            Err(Error::OutOfMemory { .. } | Error::TooLarge { .. }) => meter.refused += 1,
            Err(error) => meter.mismatch(|| format!("{:?} of {}: {error}", event.op, self.trace.tag(event))),
        }
        None
    }
}
