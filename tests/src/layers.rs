//! Models on the host device, layer by layer: for what is claimed of policies, which judge by the order of uses and by nothing
//! else.
//!
//! Every layer is as large as every other, each use has a tick of its own, and a layer's content is its number, so that
//! whoever brings back the wrong one is found out.

use freehold_cuda::{Allocation, Bytes, HostBytes, ManualClock, Plugin, Policy, VramHandle, VramManager};
use std::sync::Arc;

/// The bytes of a layer.
pub const LAYER: u64 = 512;

/// A manager of so many layers, and its clock.
#[derive(Debug)]
pub struct Card {
    /// The manager.
    pub manager: VramManager,
    /// Advanced before each use.
    pub clock: Arc<ManualClock>,
}

impl Card {
    /// # Panics
    /// When ordinary memory has no room for them.
    #[must_use]
    pub fn of(layers: u64, policy: Policy) -> Card {
        let clock = Arc::new(ManualClock::new());
        let builder = VramManager::builder().budget(Bytes(layers * LAYER)).policy(policy).clock(clock.clone());
        Card { manager: builder.build().expect("a small card"), clock }
    }

    /// The layers of a model, none of them on the card yet.
    ///
    /// # Panics
    /// When the manager refuses to know them.
    #[must_use]
    pub fn model(&self, plugin: &Plugin, layers: u8, priority: i32) -> Vec<VramHandle> {
        let layer = |n: u8| Allocation::new(Bytes(LAYER)).source(HostBytes(vec![n; LAYER as usize].into()));
        let asked = |n: u8| layer(n).plugin(plugin).priority(priority).label(format!("layer {n}"));
        (0..layers).map(|n| self.manager.register(asked(n)).expect("room in the table")).collect()
    }

    /// One use, at a tick of its own.
    ///
    /// # Panics
    /// When the content is not the layer's, whatever was evicted meanwhile.
    pub fn access(&self, layer: &VramHandle) {
        self.clock.advance();
        let access = layer.access().expect("one layer fits");
        let number = number(layer.label());
        assert_eq!(access.as_host_slice(), Some(&[number; LAYER as usize][..]));
    }

    /// All of them once, in order.
    pub fn step(&self, model: &[VramHandle]) {
        model.iter().for_each(|layer| self.access(layer));
    }

    /// So many steps.
    pub fn steps(&self, steps: usize, model: &[VramHandle]) {
        (0..steps).for_each(|_| self.step(model));
    }
}

/// The number of a layer, out of its label.
///
/// # Panics
/// When it is none of ours.
#[must_use]
pub fn number(label: &str) -> u8 {
    label.strip_prefix("layer ").and_then(|number| number.parse().ok()).expect("a layer's label")
}
