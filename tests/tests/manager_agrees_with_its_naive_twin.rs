//! The whole manager beside a model of thirty lines, under random operations: who leaves, in which order, who is refused and
//! with which numbers, what is resident, what is counted; with a floor and without; on both devices. Behaviours B1 to B10, C1 to C3, C12, E1, E3, G5.
//!
//! Not covered here: sizes and places (all entries are one granule), sharing, threads.

use freehold_cuda::{Access, Allocation, Error, Floor, ManualClock, VramHandle, VramManager};
use freehold_tests::manager_twin::{Refusal, Twin};
use freehold_tests::world::{U, World, assert_holds, content, sourced, units, write};
use proptest::prelude::*;
use std::sync::Arc;

/// One step. Entries are named by a number that is taken modulo how many there are.
#[derive(Clone, Debug)]
enum Step {
    Allocate {
        priority: i32,
        kind: Kind,
    },
    Register {
        priority: i32,
    },
    Access(usize),
    Pin(usize),
    Unpin(usize),
    Touch(usize),
    SetPriority(usize, i32),
    Release(usize),
    EvictForSpace(u64),
    SetBudget(u64),
    /// Time goes on. Without it, uses tie.
    Tick,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Sourced,
    Spilled,
    Fixed,
}

fn step() -> impl Strategy<Value = Step> {
    let priority = || prop_oneof![8 => -1..2, 1 => Just(i32::MIN), 1 => Just(i32::MAX)];
    let kind = prop_oneof![4 => Just(Kind::Sourced), 2 => Just(Kind::Spilled), 1 => Just(Kind::Fixed)];
    let which = || any::<usize>();
    prop_oneof![
        6 => (priority(), kind).prop_map(|(priority, kind)| Step::Allocate { priority, kind }),
        2 => priority().prop_map(|priority| Step::Register { priority }),
        8 => which().prop_map(Step::Access),
        3 => which().prop_map(Step::Pin),
        3 => which().prop_map(Step::Unpin),
        1 => which().prop_map(Step::Touch),
        1 => (which(), priority()).prop_map(|(which, priority)| Step::SetPriority(which, priority)),
        3 => which().prop_map(Step::Release),
        1 => (0..9_u64).prop_map(Step::EvictForSpace),
        1 => (1..11_u64).prop_map(Step::SetBudget),
        12 => Just(Step::Tick),
    ]
}

/// The manager and its twin, side by side.
struct Pair<'a> {
    world: &'a World,
    manager: &'a VramManager,
    clock: Arc<ManualClock>,
    twin: Twin,
    /// Never dropped, so that guards may stand beside them; `release` is what a drop does.
    handles: Vec<&'static VramHandle>,
    guards: Vec<(usize, Access<'static>)>,
    /// Whether the budget was ever changed: there may then be several arenas.
    resized: bool,
}

impl Pair<'_> {
    fn run(&mut self, step: &Step) {
        let count = self.handles.len();
        let tick = freehold_cuda::Clock::tick(&*self.clock);
        match *step {
            Step::Tick => _ = self.clock.advance(),
            Step::Allocate { priority, kind } => self.allocate(priority, kind, tick),
            Step::Register { priority } => {
                let handle = self.manager.register(sourced(count as u64, units(1)).priority(priority)).unwrap();
                self.twin.register(priority, tick);
                self.admit(handle);
            }
            Step::EvictForSpace(granules) => {
                // With pins in the way places matter, and with several arenas too: the twin knows neither.
                if self.guards.is_empty() && !self.resized {
                    let (ours, theirs) = (self.manager.evict_for_space(units(granules)), self.twin.make_room(granules));
                    self.compare(ours.map(drop), theirs);
                }
            }
            Step::SetBudget(granules) => {
                self.resized = true;
                self.twin.set_limit(granules);
                let change = self.manager.set_budget(units(granules)).unwrap();
                assert_eq!(change.excess.get() / U, self.twin.resident().saturating_sub(granules));
            }
            _ if count == 0 => {}
            Step::Access(which) => self.access(which % count, tick),
            Step::Pin(which) => self.pin(which % count, tick),
            Step::Unpin(which) => self.unpin(which),
            Step::Touch(which) => {
                self.handles[which % count].touch();
                self.twin.entries[which % count].last_use = tick;
            }
            Step::SetPriority(which, priority) => {
                self.handles[which % count].set_priority(priority);
                self.twin.entries[which % count].priority = priority;
            }
            Step::Release(which) => {
                self.handles[which % count].release();
                if !self.twin.entries[which % count].released {
                    self.twin.release(which % count);
                }
            }
        }
        self.agree();
    }

    fn allocate(&mut self, priority: i32, kind: Kind, tick: u64) {
        let number = self.handles.len() as u64;
        let asked = match kind {
            Kind::Sourced => sourced(number, units(1)),
            Kind::Spilled => Allocation::new(units(1)),
            Kind::Fixed => Allocation::new(units(1)).fixed(),
        };
        let theirs = self.twin.allocate(priority, tick, kind == Kind::Fixed, kind == Kind::Sourced);
        match self.manager.allocate(asked.priority(priority)) {
            Ok(mut handle) => {
                if kind != Kind::Sourced {
                    write(&mut handle, number);
                }
                self.compare(Ok(()), theirs);
                self.admit(handle);
            }
            Err(error) => self.compare(Err(error), theirs),
        }
    }

    fn admit(&mut self, handle: VramHandle) {
        self.handles.push(Box::leak(Box::new(handle)));
    }

    fn access(&mut self, at: usize, tick: u64) {
        let (ours, theirs) = (self.handles[at].access().map(drop), self.twin.pin(at, tick));
        if theirs.is_ok() {
            self.twin.unpin(at);
        }
        self.compare(ours, theirs);
        if theirs.is_ok() {
            assert_holds(self.handles[at], at as u64);
        }
    }

    fn pin(&mut self, at: usize, tick: u64) {
        let (ours, theirs) = (self.handles[at].access(), self.twin.pin(at, tick));
        match ours {
            Ok(guard) => {
                self.compare(Ok(()), theirs);
                self.guards.push((at, guard));
            }
            Err(error) => self.compare(Err(error), theirs),
        }
    }

    fn unpin(&mut self, which: usize) {
        if self.guards.is_empty() {
            return;
        }
        let (at, guard) = self.guards.swap_remove(which % self.guards.len());
        let mut seen = vec![0; U as usize];
        guard.read(0, &mut seen).unwrap();
        assert_eq!(seen, content(at as u64, units(1)), "pinned all the time");
        drop(guard);
        self.twin.unpin(at);
    }

    fn compare(&self, ours: Result<(), Error>, theirs: Result<(), Refusal>) {
        let ours = ours.map_err(|error| match error {
            Error::Released { .. } => Refusal::Released,
            Error::OutOfMemory { free, evictable, pinned, .. } => {
                Refusal::Full { free: free.get() / U, evictable: evictable.get() / U, pinned: pinned.get() / U }
            }
            other => panic!("{other}"),
        });
        assert_eq!(ours, theirs, "ours, and the twin's");
    }

    /// Everything that can be seen is the same.
    fn agree(&mut self) {
        let at_of = |id: u64| self.handles.iter().position(|handle| handle.id() == id).expect("a known id");
        let left: Vec<usize> = self.world.recorder.evicted().into_iter().map(at_of).collect();
        assert_eq!(left, std::mem::take(&mut self.twin.left), "who left, in order");
        let order: Vec<usize> = self.manager.lru_order().iter().map(|candidate| at_of(candidate.id)).collect();
        assert_eq!(order, self.twin.order(), "who would leave, in order");
        for (handle, known) in self.handles.iter().zip(&self.twin.entries) {
            assert_eq!(handle.is_resident(), known.resident, "{known:?}");
        }
        let stats = self.manager.stats();
        let told = [stats.resident_bytes / U, stats.loads, stats.refusals];
        assert_eq!(told, [self.twin.resident(), self.twin.loads, self.twin.refusals], "resident, loads, refusals");
        assert_eq!(self.manager.audit().unwrap().buffers as u64, self.twin.resident());
    }
}

fn run(world: &World, floored: bool, steps: &[Step]) {
    let clock = Arc::new(ManualClock::new());
    let floor = if floored { Floor::Requester } else { Floor::None };
    let manager = world.builder(8).clock(clock.clone()).floor(floor).build().unwrap();
    world.recorder.take();
    let (handles, guards, resized) = (Vec::new(), Vec::new(), false);
    let mut pair = Pair { world, manager: &manager, clock, twin: Twin::new(8, floored), handles, guards, resized };
    steps.iter().for_each(|step| pair.run(step));
    pair.guards.clear();
    pair.handles.iter().for_each(|handle| handle.release());
    assert_eq!(manager.audit().unwrap().resident.get(), 0);
    world.check();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn on_the_host_device(floored: bool, steps in prop::collection::vec(step(), 1..120)) {
        run(&World::host(), floored, &steps);
    }

    #[test]
    fn on_the_far_device(floored: bool, steps in prop::collection::vec(step(), 1..120)) {
        run(&World::far(), floored, &steps);
    }
}
