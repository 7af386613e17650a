//! What a trace needs at its worst moment: the figures that budgets are fractions of.

use super::Trace;
use super::event::{Event, Op, Scale};

/// Peaks over the events in program order, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peaks {
    /// Of the weights that are loaded and not unloaded.
    pub(crate) weights: u64,
    /// Of `alloc` and `acquire` together.
    pub(crate) blocks: u64,
    /// Of `acquire` alone.
    pub(crate) acquired: u64,
}

impl Peaks {
    /// The peaks of the bytes as the trace has them.
    pub(crate) fn of(trace: &Trace) -> Peaks {
        Peaks::with(trace, |bytes| bytes)
    }

    /// The peaks of what the bytes take up at a scale: each size in whole granules.
    pub(crate) fn reserved(trace: &Trace, scale: Scale) -> Peaks {
        Peaks::with(trace, |bytes| scale.reserved(bytes))
    }

    fn with(trace: &Trace, size: impl Fn(u64) -> u64) -> Peaks {
        let is = |ops: &'static [Op]| move |event: &&Event| ops.contains(&event.op);
        let peak = |ops| running_peak(trace.events.iter().filter(is(ops)).map(|event| (event.op, size(event.bytes))));
        Peaks {
            weights: peak(&[Op::Load, Op::Unload]),
            blocks: peak(&[Op::Alloc, Op::Free, Op::Acquire, Op::Release]),
            acquired: peak(&[Op::Acquire, Op::Release]),
        }
    }

    /// What a budget of 1.0 means: all weights, and all else at its own worst moment.
    pub(crate) fn total(self) -> u64 {
        self.weights.saturating_add(self.blocks)
    }
}

/// The highest sum ever live. Summed in 128 bits: a trace may ask for 2^63 bytes twice, and is refused later.
pub(crate) fn running_peak(steps: impl Iterator<Item = (Op, u64)>) -> u64 {
    let mut live = 0_u128;
    let peak = steps.map(|(op, bytes)| {
        live = if op.ends() { live - u128::from(bytes) } else { live + u128::from(bytes) };
        live
    });
    u64::try_from(peak.max().unwrap_or(0)).unwrap_or(u64::MAX)
}
