//! What a caller asks for: how much, how important, whose, and where the bytes come from.

use crate::budget::Reservation;
use crate::label::Label;
use crate::plugin::Plugin;
use crate::source::Source;
use freehold_core::Bytes;
use std::fmt;
use std::sync::Arc;

/// A request for memory, built up word by word. See the crate's example.
#[derive(Clone)]
pub struct Allocation {
    pub(crate) bytes: Bytes,
    pub(crate) align: Bytes,
    pub(crate) priority: i32,
    pub(crate) label: Label,
    pub(crate) metadata: Label,
    pub(crate) plugin: Option<Plugin>,
    pub(crate) backing: Backing,
    pub(crate) reservation: Option<Reservation>,
}

/// Where an entry's bytes are when its memory is gone.
#[derive(Clone)]
pub(crate) enum Backing {
    /// They can be had again.
    Source(Arc<dyn Source>),
    /// They are written out to host memory on eviction, and come back from there.
    Spill,
    /// Nowhere: the entry is never evicted.
    Fixed,
}

impl Allocation {
    /// A request for `bytes`, spilled to host memory when evicted, of priority 0, aligned to the manager's default.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Allocation {
            bytes,
            align: Bytes(1),
            priority: 0,
            label: Label::default(),
            metadata: Label::default(),
            plugin: None,
            backing: Backing::Spill,
            reservation: None,
        }
    }

    /// How important it is: lower priorities are evicted first, whatever their age (B2). The whole `i32` range counts.
    #[must_use]
    pub fn priority(mut self, priority: i32) -> Self {
        self.priority = priority;
        self
    }

    /// A name for reports and errors.
    #[must_use]
    pub fn label(mut self, label: impl Into<Arc<str>>) -> Self {
        self.label = Label::from(label);
        self
    }

    /// What else is true of the content (a shape, a type): shared weights of one key must agree on it (D6).
    #[must_use]
    pub fn metadata(mut self, metadata: impl Into<Arc<str>>) -> Self {
        self.metadata = Label::from(metadata);
        self
    }

    /// Whose statistics it counts in.
    #[must_use]
    pub fn plugin(mut self, plugin: &Plugin) -> Self {
        self.plugin = Some(plugin.clone());
        self
    }

    /// A base address that is a multiple of `align`: a power of two; less than a granule means a granule.
    #[must_use]
    pub fn align(mut self, align: Bytes) -> Self {
        self.align = align;
        self
    }

    /// Where the bytes come from, now and after every eviction.
    #[must_use]
    pub fn source(self, source: impl Source + 'static) -> Self {
        self.shared_source(Arc::new(source))
    }

    /// As [`source`](Self::source), for one that is already shared.
    #[must_use]
    pub fn shared_source(mut self, source: Arc<dyn Source>) -> Self {
        self.backing = Backing::Source(source);
        self
    }

    /// Never to be evicted: its bytes exist nowhere else. It may be moved while nobody has it pinned.
    #[must_use]
    pub fn fixed(mut self) -> Self {
        self.backing = Backing::Fixed;
        self
    }

    /// Takes its bytes out of a reservation, not out of what the manager has for everybody.
    #[must_use]
    pub fn within(mut self, reservation: &Reservation) -> Self {
        self.reservation = Some(reservation.clone());
        self
    }
}

impl fmt::Debug for Allocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let backing = match &self.backing {
            Backing::Source(_) => "source",
            Backing::Spill => "spill",
            Backing::Fixed => "fixed",
        };
        f.debug_struct("Allocation")
            .field("bytes", &self.bytes)
            .field("priority", &self.priority)
            .field("label", &self.label)
            .field("backing", &backing)
            .finish_non_exhaustive()
    }
}
