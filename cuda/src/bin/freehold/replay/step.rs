//! From the trace's ids to the manager's handles: what each event does.

use std::sync::Arc;

use freehold_core::Bytes;
use freehold_cuda::{Allocation, Error};
use parking_lot::RwLock;

use super::admission::{Patience, Share};
use super::checker;
use super::meter::Meter;
use super::world::{Entry, World};
use crate::trace::{Event, Op};

impl World<'_> {
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

    /// `load`, and `share`: a user more for a weight, absent or not. The first access brings its bytes.
    fn join(&self, event: &Event, meter: &mut Meter) {
        let entry = &mut *self.entry(event).write();
        if event.op == Op::Share && matches!(entry, Entry::Nothing) {
            return; // refused when it was loaded
        }
        let source = self.stock.source(event.id, Bytes(self.setup.scale.size(event.bytes)));
        let allocation = self.allocation(event).shared_source(source);
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
            self.watch.asks_with(handle.priority());
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
        self.watch.asks_with(i32::MAX); // several entries, each with its own
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
        self.watch.asks_with(self.setup.priorities[usize::from(event.thread)]);
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
        let priority = self.setup.priorities[usize::from(event.thread)];
        let allocation = Allocation::new(Bytes(self.setup.scale.size(event.bytes))).plugin(plugin).priority(priority);
        // Only a picture or a log shows names, and a replay makes many.
        let shown = self.recorder.is_some() || self.manager.event_log().is_some();
        if shown { allocation.label(self.trace.tag(event)) } else { allocation }
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
