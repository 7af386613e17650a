//! In and out: what leases and futures are made of. Each operation takes all it asks for or nothing.
//!
//! A request tries the fast path, then the general one, where the same decision is made on the ledger. Bytes come back by the
//! fast path if nobody waits, and otherwise to the ledger, which serves.

use alloc::vec::Vec;
use core::task::Waker;

use super::MemoryPool;
use super::cell::Step;
use super::error::AcquireError;
use super::fairness::{AdmissionRequest, Place};
use super::ledger::{Ledger, Waiter};
use super::word::LARGEST_TOTAL;
use crate::sync::atomic::Ordering;
use crate::units::Bytes;

/// Where a request stands after it asked.
pub(super) enum Entered {
    Admitted,
    Waiting(Place),
}

type EnteredOrNot = Result<Entered, AcquireError>;

impl MemoryPool {
    #[inline]
    pub(super) fn take_now(&self, request: AdmissionRequest) -> Result<(), AcquireError> {
        if self.take_fast(request.bytes) {
            return Ok(());
        }
        self.fits_total(request.bytes)?;
        self.refused_outright(request.bytes).map_or_else(|| self.enter(request, None).map(|_| ()), Err)
    }

    /// A refusal that a plain word gives by itself.
    fn refused_outright(&self, requested: Bytes) -> Option<AcquireError> {
        let plain = self.cell.plain()?;
        let available = Bytes(plain.free.max(0) as u64);
        let full = AcquireError::Full { requested, available, waiting: 0 };
        if plain.closed { Some(AcquireError::Closed) } else { (requested > available).then_some(full) }
    }

    pub(super) fn take_or_wait(&self, request: AdmissionRequest, waker: &Waker) -> Result<Entered, AcquireError> {
        if self.take_fast(request.bytes) { Ok(Entered::Admitted) } else { self.enter(request, Some(waker)) }
    }

    #[inline]
    fn take_fast(&self, bytes: Bytes) -> bool {
        if bytes == Bytes::ZERO {
            return true;
        }
        if bytes.get() > LARGEST_TOTAL {
            return false;
        }
        let taken = self.cell.take(bytes.get());
        if let Some(free) = taken {
            self.note_peak(free);
        }
        taken.is_some()
    }

    /// Admits the request, or puts it in the queue if it brought a waker.
    #[cold]
    fn enter(&self, request: AdmissionRequest, waker: Option<&Waker>) -> Result<Entered, AcquireError> {
        self.fits_total(request.bytes)?;
        let entered = self.update(|ledger| {
            let place = self.fairness.place(request.class, self.ticket(waker.is_some()));
            self.entering(ledger, place, request.bytes, waker)
        })?;
        match (&entered, self.fits_total(request.bytes)) {
            (Entered::Admitted, _) if waker.is_none() => _ = self.ticket(true),
            (Entered::Waiting(place), Err(refused)) => {
                // The total was lowered meanwhile, too early to find us in the queue.
                self.withdraw(*place, request.bytes);
                return Err(refused);
            }
            _ => {}
        }
        Ok(entered)
    }

    /// Drawn anew in each attempt, so that tickets stand in the order in which attempts succeed. Who would not wait draws one only
    /// when it was admitted, past others who wait: it ages them as any later arrival does. To be refused ages nobody. Relaxed:
    /// the exchange of the word orders those who matter to each other.
    fn ticket(&self, may_wait: bool) -> u64 {
        if may_wait { self.tickets.fetch_add(1, Ordering::Relaxed) } else { self.tickets.load(Ordering::Relaxed) }
    }

    fn entering(&self, ledger: &Ledger, place: Place, requested: Bytes, waker: Option<&Waker>) -> Step<EnteredOrNot> {
        let bytes = requested.get();
        if ledger.closed {
            return Step::Stay(Err(AcquireError::Closed));
        }
        if ledger.admits(place, bytes, self.rules()) {
            return Step::Go(Ok(Entered::Admitted), ledger.debit(bytes), Vec::new());
        }
        let Some(waker) = waker else {
            let available = Bytes(ledger.free.max(0) as u64);
            return Step::Stay(Err(AcquireError::Full { requested, available, waiting: ledger.waiting() }));
        };
        let next = ledger.with_waiter(place, Waiter { bytes, waker: waker.clone() });
        Step::Go(Ok(Entered::Waiting(place)), next, Vec::new())
    }

    /// Looks where a waiter stands; one that goes on waiting leaves its newest waker. On an error it has left the queue.
    pub(super) fn look(&self, place: Place, request: AdmissionRequest, waker: &Waker) -> Result<Entered, AcquireError> {
        // Who was not served stands in the queue, also of a closed pool.
        if self.cell.nobody_waits() {
            return Ok(Entered::Admitted);
        }
        self.update(|ledger| {
            let Some(known) = ledger.waiter(place) else { return Step::Stay(Ok(Entered::Admitted)) };
            let refused = if ledger.closed { Err(AcquireError::Closed) } else { self.fits_total(request.bytes) };
            if let (Err(why), Some((next, wake))) = (refused, ledger.without_waiter(place, self.rules())) {
                return Step::Go(Err(why), next, wake);
            }
            if known.waker.will_wake(waker) {
                return Step::Stay(Ok(Entered::Waiting(place)));
            }
            let next = ledger.with_waiter(place, Waiter { bytes: known.bytes, waker: waker.clone() });
            Step::Go(Ok(Entered::Waiting(place)), next, Vec::new())
        })
    }

    /// Gives up waiting and passes the turn on. A grant that came first is given back.
    pub(super) fn withdraw(&self, place: Place, bytes: Bytes) {
        let was_waiting = self.update(|ledger| match ledger.without_waiter(place, self.rules()) {
            Some((next, wake)) => Step::Go(true, next, wake),
            None => Step::Stay(false),
        });
        if !was_waiting {
            self.give_back(bytes);
        }
    }

    #[inline]
    pub(super) fn give_back(&self, bytes: Bytes) {
        if bytes == Bytes::ZERO || self.cell.give(bytes.get()).is_some() {
            return;
        }
        self.give_and_serve(bytes);
    }

    #[cold]
    fn give_and_serve(&self, bytes: Bytes) {
        self.update(|ledger| {
            let (next, wake) = ledger.credit(bytes.get(), self.rules());
            Step::Go((), next, wake)
        });
    }

    pub(super) fn detach(&self, bytes: Bytes) {
        // Relaxed: a count that only its own read-modify-writes look at.
        self.detached.fetch_add(bytes.get(), Ordering::Relaxed);
    }

    pub(super) fn attach(&self, bytes: Bytes) -> Option<()> {
        // Relaxed: as in `detach`. Bounded as every compare-exchange loop here.
        let fewer = |detached: u64| detached.checked_sub(bytes.get());
        self.detached.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).ok().map(|_| ())
    }

    pub(super) fn next_lease_id(&self) -> u64 {
        // Relaxed: only the number matters, and read-modify-writes give each once.
        self.lease_ids.fetch_add(1, Ordering::Relaxed)
    }

    fn fits_total(&self, requested: Bytes) -> Result<(), AcquireError> {
        let total = self.total_bytes();
        if requested > total { Err(AcquireError::TooLarge { requested, total }) } else { Ok(()) }
    }

    /// Remembers how many bytes were leased when this many were free. The peak's line is written only when it grows.
    #[inline]
    pub(super) fn note_peak(&self, free: i64) {
        let leased = (self.total() as i64).saturating_sub(free).max(0) as u64;
        // Relaxed: a statistic that publishes nothing.
        if leased > self.peak.load(Ordering::Relaxed) {
            self.peak.fetch_max(leased, Ordering::Relaxed);
        }
    }
}
