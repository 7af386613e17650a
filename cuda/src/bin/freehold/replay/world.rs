//! A running replay: one manager and what every id of the trace stands for, from an empty card to closed books.

use std::sync::Arc;

use freehold_core::Bytes;
use freehold_cuda::{DeviceMemory, Floor, ManualClock, Plugin, Policy, VramHandle, VramManager, VramManagerBuilder};
use parking_lot::RwLock;

use super::admission::{Admission, Share};
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
use crate::trace::Trace;

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
    pub(super) offline: Option<Arc<Offline>>,
    pub(super) admission: Admission<'t>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) stock: Stock,
    pub(super) entries: Arc<Entries>,
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
        let floor = match setup.floor {
            Some(args::Floor::Requester) => Floor::Requester,
            Some(args::Floor::None) | None => Floor::None,
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
            .floor(floor)
            .clock(clock.clone())
            .observer(Arc::new(Onlookers::new(watch.clone(), recorder.clone())))
            .build()?;
        let plugins =
            (0..trace.threads.len()).map(|thread| manager.plugin(&trace.thread_name(thread as u16))).collect();
        let admission = Admission::new(&manager, setup.pool, setup.fairness, &setup.plan)?;
        Ok(World { trace, setup, manager, plugins, watch, recorder, offline, admission, clock, stock, entries })
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

    /// Tells the recorder, where there is one.
    pub(super) fn record(&self, tell: impl FnOnce(&Recorder)) {
        if let Some(recorder) = &self.recorder {
            tell(recorder);
        }
    }
}
