//! Leaving: an entry that is between `begin_evict` and its end, and in the hands of one thread. Both who evicts and who moves
//! holds one of these, so there is one place that says what happens where neither comes to its end.
//!
//! ```text
//!   begin --> left               its memory is gone, its identity stays: absent
//!     |-----> dropped            it stays, where it is or where it was moved to: resident
//!     '-----> torn, dropped      a copy onto itself broke off: its bytes are nowhere, unless a source has them
//! ```
//!
//! Dropped is what a panic does too: a device and its driver are somebody else's code.

use crate::inner::Inner;
use crate::memory::DeviceError;
use crate::tenant::{Departure, Tenant};
use freehold_core::{Claim, Entry};
use std::sync::atomic::Ordering::Relaxed;

/// See the module's words.
#[must_use = "dropped, the entry stays"]
pub(crate) struct Leaving<'a> {
    inner: &'a Inner,
    entry: &'a Entry<Tenant>,
    end: End,
}

/// What the drop does.
enum End {
    Stays,
    Torn(Option<DeviceError>),
    Left,
}

impl<'a> Leaving<'a> {
    /// Claims the entry, if nobody uses it and it is resident.
    pub(crate) fn begin(inner: &'a Inner, entry: &'a Entry<Tenant>) -> Option<Self> {
        let won = entry.residency().begin_evict() == Claim::Won;
        won.then(|| Leaving { inner, entry, end: End::Stays })
    }

    pub(crate) fn tenant(&self) -> &'a Tenant {
        self.entry.payload()
    }

    /// Its memory goes.
    pub(crate) fn left(mut self) {
        self.end = End::Left;
    }

    /// From now on its bytes may be half overwritten: if it is dropped so, nobody may see them. Said before such a copy,
    /// and again with what the device said to it.
    pub(crate) fn tear(&mut self, why: Option<DeviceError>) {
        self.end = End::Torn(why);
    }

    /// They are whole again, elsewhere.
    pub(crate) fn mend(&mut self) {
        self.end = End::Stays;
    }

    /// How much of the block was overwritten is not known. What has a source is evicted and comes back; what has none is
    /// lost, and every access says so.
    fn give_up(&self, why: Option<DeviceError>) {
        let (tenant, state) = (self.tenant(), self.entry.residency().snapshot());
        if tenant.departure != Departure::Sourced || state.is_dirty() {
            let error = why.unwrap_or_else(|| DeviceError::new("move a block", "its code panicked"));
            tracing::error!(%error, label = &*tenant.label, "an entry's only bytes were lost in a failed move");
            tenant.lost.get_or_init(|| error);
        }
    }
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let residency = self.entry.residency();
        self.tenant().moving.store(false, Relaxed); // Relaxed: for reports
        match std::mem::replace(&mut self.end, End::Left) {
            End::Stays => return self.inner.settle(self.entry, residency.cancel_evict()),
            End::Torn(why) => self.give_up(why),
            End::Left => {}
        }
        self.inner.free_place(self.entry);
        self.inner.conclude(self.entry, residency.finish_evict());
    }
}
