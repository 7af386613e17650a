//! Vector clocks: what is ordered before what, by the calls that were made and not by when anything ran.
//!
//! Every stream is a component; component 0 is the host. All host threads are one component: the driver cannot see the
//! program's own synchronisation, and would otherwise report what a mutex has ordered. A race between two host threads
//! is therefore not found here.

/// A component of a clock: 0 is the host, stream `i` is `i + 1`.
pub(crate) type Component = usize;

pub(crate) const HOST: Component = 0;

/// One point of one component's program: the `tick`-th thing it did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) component: Component,
    pub(crate) tick: u64,
}

/// For each component, the last tick that is known to be over. A component that is not there is at 0.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock(Vec<u64>);

impl Clock {
    /// Whether what happened at `stamp` is ordered before whoever has this clock.
    pub(crate) fn covers(&self, stamp: Stamp) -> bool {
        self.0.get(stamp.component).is_some_and(|&tick| tick >= stamp.tick)
    }

    /// Everything that `other` knows to be over is over for us too.
    pub(crate) fn join(&mut self, other: &Clock) {
        if self.0.len() < other.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        self.0.iter_mut().zip(&other.0).for_each(|(mine, &theirs)| *mine = (*mine).max(theirs));
    }

    /// The next point of `component`'s own program.
    pub(crate) fn tick(&mut self, component: Component) -> Stamp {
        if self.0.len() <= component {
            self.0.resize(component + 1, 0);
        }
        self.0[component] += 1;
        Stamp { component, tick: self.0[component] }
    }
}
