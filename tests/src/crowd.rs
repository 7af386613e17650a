//! What threads over capacity have in common: a manager and a source that let others in between, what may come of asking, and
//! what is right whoever came first.

use crate::hooked_device::HookedDevice;
use crate::seeded::{Yielding, perhaps_yield};
use crate::sources::Probe;
use crate::world::{World, content, units};
use freehold_cuda::{Access, Books, Error, Sink, Source, SourceError, VramManager, VramManagerBuilder};
use std::sync::Arc;

/// A manager that gives its thread away at every question for the time and before every observer.
///
/// # Panics
/// When it cannot be built.
#[must_use]
pub fn yielding(world: &World, capacity: u64) -> VramManager {
    world
        .builder(capacity)
        .clock(Arc::new(Yielding::default()))
        .observer(Arc::new(Yielding::default()))
        .build()
        .unwrap()
}

/// The builder of one that does so in every copy too, on ordinary memory.
pub fn yielding_in_copies(capacity: u64) -> VramManagerBuilder {
    let yielding = Arc::new(Yielding::default());
    let device = Arc::new(HookedDevice::new(|_, _| perhaps_yield()));
    let world = World { device, ..World::host() };
    world.builder(capacity).clock(yielding.clone()).observer(yielding)
}

/// A source that gives its thread away before it gives its bytes, and after.
#[derive(Debug)]
pub struct Slow(pub Arc<Probe>);

impl Source for Slow {
    fn fill(&self, sink: &mut Sink<'_>) -> Result<(), SourceError> {
        perhaps_yield();
        let filled = self.0.fill(sink);
        perhaps_yield();
        filled
    }
}

/// Reads all of it twice with yields in between: right both times, and at one address (B7).
///
/// # Panics
/// When it is not.
pub fn assert_stands(access: &Access<'_>, seed: u64) {
    let (address, right) = (access.address(), content(seed, access.bytes()));
    for _ in 0..2 {
        let mut seen = vec![0; right.len()];
        access.read(0, &mut seen).unwrap();
        assert!(seen == right, "content {seed} at {address:?}");
        perhaps_yield();
    }
    assert_eq!(access.address(), address, "moved while pinned");
}

/// Ok, or no room, where others may have pinned it: all else is a defect.
///
/// # Panics
/// On that.
pub fn unless_full<T>(tried: Result<T, Error>) -> Option<T> {
    match tried {
        Ok(made) => Some(made),
        Err(Error::OutOfMemory { .. }) => None,
        Err(other) => panic!("{other}"),
    }
}

/// Nobody has anything any more, and the books say so.
///
/// # Panics
/// When they do not, with the seed.
pub fn assert_all_is_back(manager: &VramManager, seed: u64) -> Books {
    let books = manager.audit().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    assert_eq!((books.handles, books.resident, books.spilled), (0, units(0), units(0)), "seed {seed}");
    books
}
