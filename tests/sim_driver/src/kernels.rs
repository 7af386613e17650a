//! The kernels that this driver knows by name, and what each of them reads and writes.
//!
//! They work on 32-bit elements. The same names stand in `cuda/examples/kernels.ptx`, which a card compiles: a test that
//! launches them runs on both.

use crate::shadow::Kind;
use std::ops::Range;

/// `fill(dst, value, n)`: n elements become `value`.
/// `add(dst, value, n)`: `value` is added to n elements, wrapping.
/// `copy(dst, src, n)`: n elements are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kernel {
    Fill,
    Add,
    Copy,
}

/// A kernel and its arguments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch {
    pub(crate) kernel: Kernel,
    pub(crate) target: u64,
    /// The value, or the source's address.
    pub(crate) operand: u64,
    pub(crate) elements: u64,
}

impl Kernel {
    pub(crate) const ALL: [Kernel; 3] = [Kernel::Fill, Kernel::Add, Kernel::Copy];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Kernel::Fill => "fill",
            Kernel::Add => "add",
            Kernel::Copy => "copy",
        }
    }

    pub(crate) fn by_name(name: &str) -> Option<Kernel> {
        Kernel::ALL.into_iter().find(|kernel| kernel.name() == name)
    }
}

impl Launch {
    /// The bytes it touches.
    pub(crate) fn touches(&self) -> Vec<(Range<u64>, Kind)> {
        let bytes = |start: u64| start..start + 4 * self.elements;
        match self.kernel {
            Kernel::Fill => vec![(bytes(self.target), Kind::Write)],
            Kernel::Add => vec![(bytes(self.target), Kind::Read), (bytes(self.target), Kind::Write)],
            Kernel::Copy => vec![(bytes(self.operand), Kind::Read), (bytes(self.target), Kind::Write)],
        }
    }

    pub(crate) fn run(&self, device: impl Fn(u64) -> *mut u8) {
        let len = 4 * self.elements;
        if self.elements == 0 {
            return;
        }
        if self.kernel == Kernel::Copy {
            return crate::memory::copy(device(self.target), device(self.operand), len);
        }
        let mut bytes = crate::memory::snapshot(device(self.target), len);
        for element in bytes.chunks_exact_mut(4) {
            let before = if self.kernel == Kernel::Add { word(element) } else { 0 };
            element.copy_from_slice(&before.wrapping_add(self.operand as u32).to_le_bytes());
        }
        crate::memory::copy(device(self.target), bytes.as_ptr(), len);
    }
}

fn word(element: &[u8]) -> u32 {
    u32::from_le_bytes(element.try_into().expect("elements are four bytes"))
}
