//! Materialise: bring an entry's bytes to the card, once, whoever asks at the same time (C4).
#![allow(unsafe_code, reason = "the claim is what makes an entry's bytes writable: A2 of arena.rs")]
// A2, here: `Claimed` exists only after `begin_materialise` was won, so its thread has the entry to itself (R2 of the
// table's states) until the claim is ended.

use crate::arena::{Place, Span};
use crate::error::{Error, SourceError};
use crate::inner::Inner;
use crate::observe::observed::materialise_span;
use crate::observer::Event;
use crate::place::Want;
use crate::source::{Sink, Source};
use crate::tenancy::Tenancy;
use freehold_core::{Bytes, Claim, Pin, Residency, Want as WantState};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// The right to bring an entry's bytes. Ends by [`finish`](Claimed::finish); dropped without it, also by a panic, the
/// entry is absent as before and its place is given back (C5, C6).
struct Claimed<'a> {
    tenancy: &'a Tenancy,
    finished: bool,
}

/// Whether bytes were brought from somewhere.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Filled {
    Loaded,
    Fresh,
}

impl Inner {
    /// Pins an entry that was not resident, or not when we looked. Each turn of the loop follows another thread's success
    /// on the same entry, or waits for it.
    pub(crate) fn pin_slow(self: &Arc<Self>, tenancy: &Tenancy) -> Result<(), Error> {
        let residency = tenancy.entry().residency();
        self.observed.misses.add(1);
        loop {
            match residency.try_pin() {
                Pin::Pinned => return Ok(()),
                Pin::Absent if residency.begin_materialise() == Claim::Won => {
                    return self.bring(tenancy, 1).inspect(|()| self.ask_ahead());
                }
                Pin::Busy(_) => wait_until_settled(tenancy),
                Pin::Released => return Err(Error::Released { key: tenancy.entry().key() }),
                _ => {}
            }
        }
    }

    /// Brings a new entry's bytes; nobody else knows the entry yet, but a close may have released it.
    pub(crate) fn first_load(&self, tenancy: &Tenancy) -> Result<(), Error> {
        self.saw_use(tenancy.entry());
        match tenancy.entry().residency().begin_materialise() {
            Claim::Won => self.bring(tenancy, 0),
            _ => Err(Error::Closed),
        }
    }

    /// Brings an absent entry's bytes before anybody uses them, and does nothing where they are there or on their way. Each
    /// turn of the loop follows an eviction of this entry that has come to its end.
    pub(crate) fn bring_early(&self, tenancy: &Tenancy) -> Result<(), Error> {
        loop {
            match tenancy.entry().residency().begin_materialise() {
                Claim::Won => return self.bring(tenancy, 0).inspect(|()| self.note_early(tenancy)),
                Claim::Lost(state) if state.residency() == Residency::Evicting => wait_until_settled(tenancy),
                _ => return Ok(()),
            }
        }
    }

    /// Finds a place, fills it, and makes the entry resident with `pins` pins. The claim has been won.
    fn bring(&self, tenancy: &Tenancy, pins: u32) -> Result<(), Error> {
        let claimed = Claimed { tenancy, finished: false };
        let tenant = tenancy.tenant();
        let place = if tenant.bytes > Bytes::ZERO { Some(self.place(&Want::of(self, tenancy.entry()))?) } else { None };
        self.occupy(claimed, place, pins)
    }

    /// Brings an entry to a place that was found for it. The claim has been won.
    pub(crate) fn bring_to(&self, tenancy: &Tenancy, place: Place) -> Result<(), Error> {
        self.occupy(Claimed { tenancy, finished: false }, Some(place), 0)?;
        tenancy.tenant().early.set(true);
        self.note_early(tenancy);
        Ok(())
    }

    fn note_early(&self, tenancy: &Tenancy) {
        let tenant = tenancy.tenant();
        self.traffic.tally.prefetched(tenant.bytes);
        tenant.plugin.tally().prefetched(tenant.bytes);
    }

    fn occupy(&self, claimed: Claimed<'_>, place: Option<Place>, pins: u32) -> Result<(), Error> {
        let tenancy = claimed.tenancy;
        let tenant = tenancy.tenant();
        let mut filled = Filled::Fresh;
        if let Some(place) = place {
            let arena = self.arenas.at(place.arena);
            tenant.streams.begin(arena.earlier_users(place.offset, self.reserved(tenant.bytes)));
            let span = self.span_at(place, tenant.bytes);
            tenant.place.set(place, span.address());
            // Charged and without a place it was in no survey, and nobody could mark it: who was refused beside it looks again.
            self.ring();
            self.saw_placed(tenancy.entry(), place);
            filled = claimed.fill(&span)?;
        }
        tenancy.note_loaded();
        if filled == Filled::Loaded {
            self.saw_loaded(tenancy.entry());
        }
        claimed.finish(pins);
        if filled == Filled::Loaded {
            let (id, plugin) = (tenancy.entry().id(), tenant.plugin.shared_name());
            self.tell(&[Event::Loaded { id, bytes: tenant.bytes, plugin }]);
        }
        Ok(())
    }
}

fn wait_until_settled(tenancy: &Tenancy) {
    // Listening before asking: what settles between the two rings for us.
    let listener = tenancy.tenant().changed.listen();
    if tenancy.entry().residency().want() == WantState::Wait {
        use event_listener::Listener;
        let _span = tracing::debug_span!("wait", label = &*tenancy.tenant().label, of = "entry").entered();
        listener.wait();
    }
}

impl Claimed<'_> {
    /// The bytes, from where they are now: written out at the last eviction, or at the source.
    fn fill(&self, span: &Span<'_>) -> Result<Filled, Error> {
        if let Some(lost) = self.tenancy.tenant().lost.get() {
            return Err(Error::Device(lost.clone()));
        }
        if self.tenancy.inner().restore(self.tenancy.entry(), span)? {
            return Ok(Filled::Loaded);
        }
        match self.tenancy.source() {
            Some(source) => self.pour(&**source, span).map(|()| Filled::Loaded),
            None => Ok(Filled::Fresh),
        }
    }

    /// Calls the source, with no lock held, and counts what it gives.
    fn pour(&self, source: &dyn Source, span: &Span<'_>) -> Result<(), Error> {
        let _span = materialise_span(self.tenancy.entry());
        let label = || self.tenancy.tenant().label.shared();
        let streams = &self.tenancy.tenant().streams;
        // SAFETY: A2. The claim is ours.
        let mut upload = |start: u64, bytes: &[u8]| unsafe { span.write(start, bytes, streams) };
        let mut sink = match span.host_bytes() {
            // SAFETY: A2. The claim is ours: nobody else reads or writes these bytes until it ends. D1: initialised.
            Some(bytes) => Sink::direct(unsafe { &mut *bytes }),
            None => Sink::staged(span.bytes().get(), &mut upload),
        };
        let poured = catch_unwind(AssertUnwindSafe(|| source.fill(&mut sink)));
        let (given, refused) = sink.outcome();
        match (poured, refused) {
            (Err(panic), _) => Err(Error::SourcePanicked { label: label(), message: panic_message(&*panic) }),
            (_, Some(refused)) => Err(Error::Device(refused)),
            (Ok(told), None) => self.judge(told, Bytes(given)),
        }
    }

    /// C7: too many bytes are too many whatever the source says; too few are its error, where it has none of its own.
    fn judge(&self, told: Result<(), SourceError>, given: Bytes) -> Result<(), Error> {
        let tenant = self.tenancy.tenant();
        let (label, expected) = (tenant.label.shared(), tenant.bytes);
        match told {
            Err(reason) if given <= expected => Err(Error::SourceFailed { label, reason }),
            _ if given != expected => Err(Error::SourceLength { label, expected, given }),
            _ => Ok(()),
        }
    }

    fn finish(mut self, pins: u32) {
        let entry = self.tenancy.entry();
        // The clock first: it is the caller's, and if it panics the claim ends as a failed one does.
        entry.touch(self.tenancy.inner().tick());
        self.finished = true;
        self.tenancy.inner().settle(entry, entry.residency().finish_materialise(pins));
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        let (inner, entry) = (self.tenancy.inner(), self.tenancy.entry());
        inner.free_place(entry);
        inner.conclude(entry, entry.residency().fail_materialise());
    }
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> Arc<str> {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    Arc::from(text.unwrap_or("no message"))
}
