//! Events that nobody uses at the moment. One that is recorded anew holds nobody up who waited for its old record, so an event is
//! given back as soon as whoever recorded it has told the driver who is to wait.
#![allow(unsafe_code, reason = "driver calls on events: E1")]
// E1  An `Event` is live until it is destroyed here, by the only one who has it. Calls are made bound to its context.

use cudarc::driver::result::{self, DriverError};
use cudarc::driver::sys;
use std::ptr::null_mut;
use std::sync::atomic::AtomicPtr;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

/// More are seldom in use at once; what is given back beyond them is destroyed.
const SPARES: usize = 64;

/// An event of the driver's, and the only right to use it.
#[derive(Debug)]
pub(super) struct Event(pub(super) sys::CUevent);

// SAFETY: the driver allows it to be used from any thread that is bound to its context.
unsafe impl Send for Event {}

/// Places for spare events; empty ones are null. Wait-free: a walk over them, each looked at once. A queue would be one line,
/// and a thread stopped in the middle of it would stop everybody who puts one stream behind another.
#[derive(Debug)]
pub(super) struct Events([AtomicPtr<sys::CUevent_st>; SPARES]);

impl Default for Events {
    fn default() -> Self {
        Events([const { AtomicPtr::new(null_mut()) }; SPARES])
    }
}

impl Events {
    /// An event that nobody uses. The thread is bound.
    pub(super) fn take(&self) -> Result<Event, DriverError> {
        // Relaxed: a first look; the exchange decides.
        let full = self.0.iter().filter(|place| !place.load(Relaxed).is_null());
        // Acquire: pairs with the Release in `put_back`; what the thread before us asked of the driver came before.
        let spare = full.map(|place| place.swap(null_mut(), Acquire)).find(|event| !event.is_null());
        spare.map_or_else(|| result::event::create(sys::CUevent_flags::CU_EVENT_DISABLE_TIMING), Ok).map(Event)
    }

    /// The mirror. The thread is bound.
    pub(super) fn put_back(&self, event: Event) {
        // Relaxed where there is no room: nothing was handed over. Release: pairs with the Acquire in `take`.
        let kept = |place: &AtomicPtr<_>| place.compare_exchange(null_mut(), event.0, Release, Relaxed).is_ok();
        if !self.0.iter().any(kept) {
            destroy(event.0);
        }
    }

    /// Destroys what is left. The thread is bound.
    pub(super) fn end(&mut self) {
        let places = self.0.iter_mut().map(|place| std::mem::replace(place.get_mut(), null_mut()));
        places.filter(|event| !event.is_null()).for_each(destroy);
    }
}

fn destroy(event: sys::CUevent) {
    // What the driver says here has nobody to go to.
    // SAFETY: E1.
    let _ = unsafe { result::event::destroy(event) };
}
