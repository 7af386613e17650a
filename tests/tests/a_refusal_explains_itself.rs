//! A refusal's text is the truth of the books, and each thing that it says to try would have let the request in. Behaviour E1.
//!
//! Not covered: what a device says to a larger region (here it has one), and pictures taken while others are at work.

use freehold_cuda::observe::{Because, Why};
use freehold_cuda::{Access, Advice, Allocation, Bytes, Error, Floor, Handover, Refusal, VramHandle, VramManager};
use freehold_tests::seeded::{Random, under_seeds};
use freehold_tests::world::{U, World, sourced, units};
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

const PLUGINS: [&str; 3] = ["chat", "speech", "search"];

/// A full, fragmented, partly pinned manager, the same for a seed each time.
struct Full {
    manager: VramManager,
    lent: Option<Handover>,
    handles: Vec<VramHandle>,
}

impl Full {
    fn new(seed: u64) -> Full {
        let (world, mut random) = (World::host(), Random::new(seed, 0));
        let builder = world.builder(32).moves(random.once_in(2)).spill_budget(units(random.below(8)));
        let builder = if random.once_in(3) { builder.floor(Floor::Requester) } else { builder };
        let manager = if random.once_in(3) { builder.arena_bytes(units(8)) } else { builder }.build().unwrap();
        let plugins = PLUGINS.map(|name| manager.plugin(name));
        let lent = random.once_in(4).then(|| manager.handover(units(6), 0).unwrap());
        let mut handles = Vec::new();
        for number in 0..40 {
            let asked = sourced(number, units(1 + random.below(5))).plugin(&plugins[random.below(3) as usize]);
            let asked = match random.below(6) {
                0 => asked.fixed(),
                1 => Allocation::new(units(2)).label("written"),
                _ => asked,
            };
            handles.extend(manager.allocate(asked.priority(random.below(3) as i32)));
            if random.once_in(2) && !handles.is_empty() {
                handles.swap_remove(random.below(handles.len() as u64) as usize);
            }
        }
        Full { manager, lent, handles }
    }

    /// The guards of this seed, by the handle's place.
    fn pins(&self, seed: u64) -> Vec<Option<Access<'_>>> {
        let mut random = Random::new(seed, 1);
        let chosen = self.handles.iter().map(|handle| random.once_in(2) && handle.is_resident()).collect::<Vec<_>>();
        let chosen = self.handles.iter().zip(chosen);
        chosen.map(|(handle, chosen)| chosen.then(|| handle.access().expect("it is resident"))).collect()
    }

    fn ask(&self, size: u64) -> Result<VramHandle, Error> {
        self.ask_with(size, 0)
    }

    fn ask_with(&self, size: u64, priority: i32) -> Result<VramHandle, Error> {
        self.manager.allocate(sourced(99, units(size)).plugin(&self.manager.plugin("asker")).priority(priority))
    }
}

/// The first refusal of this seed, from small to large requests, and its size.
fn first_refusal(seed: u64) -> Option<(u64, Error)> {
    let full = Full::new(seed);
    let _pins = full.pins(seed);
    (1..=24).find_map(|size| Some((size, full.ask(size).err()?)))
}

fn parts(error: &Error) -> ([Bytes; 5], &Refusal) {
    match error {
        Error::OutOfMemory { requested, free, largest_hole, evictable, pinned, refusal } => {
            ([*requested, *free, *largest_hole, *evictable, *pinned], refusal)
        }
        other => panic!("{other}"),
    }
}

#[test]
fn its_numbers_are_those_of_the_books() {
    let refusals = Cell::new(0);
    under_seeds(200, |seed| {
        let full = Full::new(seed);
        let pins = full.pins(seed);
        let Some(error) = (1..=24).find_map(|size| full.ask(size).err()) else { return };
        refusals.set(refusals.get() + 1);
        let ([requested, free, _, evictable, pinned], refusal) = parts(&error);
        let books = full.manager.audit().unwrap();
        assert_eq!(evictable + pinned, books.resident);
        assert_eq!((refusal.budget, free + books.resident), (full.manager.budget(), full.manager.budget()));
        let lent = full.lent.as_ref().map_or(Bytes(0), Handover::bytes);
        assert_eq!((refusal.lent, &*refusal.plugin), (lent, "asker"));
        // By the handles: what is pinned, by plugin; what may leave, by priority.
        let (mut held, mut leaving) = (BTreeMap::new(), BTreeMap::new());
        for (handle, _) in full.handles.iter().zip(&pins).filter(|(handle, pin)| handle.is_resident() && pin.is_none())
        {
            *leaving.entry(handle.priority()).or_insert(0) += handle.reserved_bytes().get();
        }
        for holder in &refusal.holders {
            *held.entry(holder.why).or_insert(0) += holder.bytes.get();
            assert!(holder.why != Why::Arriving && holder.why != Why::Leaving);
        }
        let unpinned_but_staying: u64 =
            held.iter().filter(|(why, _)| **why != Why::Pinned).map(|(_, bytes)| bytes).sum();
        assert_eq!(held.values().sum::<u64>(), pinned.get());
        assert_eq!(refusal.evictable.iter().map(|at| at.bytes.get()).sum::<u64>(), evictable.get());
        assert!(refusal.evictable.iter().all(|at| at.bytes.get() <= leaving[&at.priority]));
        assert!(leaving.values().sum::<u64>() <= evictable.get() + unpinned_but_staying);
        match refusal.because {
            Because::TooFew { at_most } => {
                assert!(at_most < requested && at_most == free + evictable && refusal.set_aside == Bytes(0));
            }
            Because::InPieces { longest } => assert!(longest < requested && requested <= free + evictable),
            other => panic!("{other:?}"),
        }
        // And the text says them all.
        let text = error.to_string();
        let said = |what: String| assert!(text.contains(&what), "{what:?} is not in {text:?}");
        said(format!("{free} free"));
        said(refusal.because.to_string());
        said(format!("budget {}", refusal.budget));
        refusal.evictable.iter().for_each(|at| said(format!("{} at priority {}", at.bytes, at.priority)));
        refusal.holders.iter().take(6).for_each(|holder| said(holder.to_string()));
        refusal.advice.iter().for_each(|advice| said(advice.to_string()));
    });
    assert!(refusals.get() > 100, "{refusals:?} were looked at");
}

/// Carries one piece of advice out in the same world made anew, and asks again.
fn follow(seed: u64, size: u64, advice: &Advice) -> Result<(), Error> {
    let mut full = Full::new(seed);
    let lent = full.lent.take();
    let mut pins = full.pins(seed);
    let mut size = size;
    match advice {
        Advice::Unpin { label, plugin: _, bytes } => {
            let place = full.handles.iter().zip(&pins).position(|(handle, pin)| {
                pin.is_some() && handle.label() == &**label && handle.reserved_bytes() == *bytes
            });
            pins[place.expect("what is to be unpinned is pinned")] = None;
        }
        // Which plugin a handle belongs to is not asked of it: this world knows only all.
        Advice::UnpinAll { .. } => pins.clear(),
        Advice::RaiseBudget { by } => {
            full.manager.set_budget(full.manager.budget() + lent.as_ref().map_or(Bytes(0), Handover::bytes) + *by)?;
        }
        Advice::EndHandover { bytes } => {
            assert!(*bytes <= lent.as_ref().expect("something is lent").bytes());
            drop(lent);
            return full.ask(size).map(drop);
        }
        Advice::AskForLess { at_most } => {
            assert!(*at_most > Bytes(0) && at_most.get() < size * U);
            size = at_most.get() / U;
        }
        Advice::AskWithPriority { priority } => {
            assert!(full.ask_with(size, *priority - 1).is_err(), "and less is not enough");
            return full.ask_with(size, *priority).map(drop);
        }
        // What cannot be changed while a manager lives is below.
        _ => return Ok(()),
    }
    full.ask(size).map(drop)
}

#[test]
fn what_it_says_to_try_helps() {
    let tried = RefCell::new(BTreeMap::<String, u32>::new());
    under_seeds(400, |seed| {
        let Some((size, error)) = first_refusal(seed) else { return };
        let (_, refusal) = parts(&error);
        assert!(!refusal.advice.is_empty(), "nothing to try: {error}");
        for advice in &refusal.advice {
            if let Err(refused) = follow(seed, size, advice) {
                panic!("{advice} did not help.\n  first: {error}\n  then:  {refused}");
            }
            let kind = format!("{advice:?}");
            *tried.borrow_mut().entry(kind.split([' ', '{']).next().unwrap_or_default().to_owned()).or_default() += 1;
        }
        let full = Full::new(seed);
        let _pins = full.pins(seed);
        assert!(full.ask(size).is_err(), "and without it, it is refused again");
    });
    let tried = tried.into_inner();
    println!("{tried:?}");
    for kind in [
        "AskWithPriority",
        "Unpin",
        "UnpinAll",
        "AllowMoves",
        "RaiseSpillBudget",
        "EndHandover",
        "RaiseBudget",
        "AskForLess",
    ] {
        assert!(tried.contains_key(kind), "{kind} was never advised: {tried:?}");
    }
}

/// What would be missing with all gone that may leave: bytes, in which case so many at once and no more would be had for it, or a
/// piece between what is pinned, in which case the longest is as long as it says.
#[test]
fn it_says_what_was_missing() {
    let manager = World::host().builder(24).build().unwrap();
    let sdxl = manager.plugin("sdxl");
    let layers = [10, 2, 10].map(|size| manager.allocate(sourced(size, units(size)).plugin(&sdxl)).unwrap());
    let wall = layers[1].access().unwrap();
    let error = manager.allocate(sourced(4, units(14))).unwrap_err();
    let (numbers, refusal) = parts(&error);
    assert_eq!(numbers, [14, 2, 2, 20, 2].map(units), "in sum there is enough");
    assert_eq!(refusal.because, Because::InPieces { longest: units(12) });
    assert!(error.to_string().contains("no piece between what stays is longer than 6144 bytes"), "{error}");
    drop(wall);
    let set_aside = manager.reserve(units(16)).unwrap();
    let error = manager.allocate(sourced(5, units(10))).unwrap_err();
    let (_, refusal) = parts(&error);
    assert_eq!((refusal.because, refusal.set_aside), (Because::TooFew { at_most: units(8) }, units(16)));
    assert!(error.to_string().contains("at most 4096 bytes could be had"), "{error}");
    // What is set aside is what is missing, and with it the request is let in.
    assert!(refusal.advice.contains(&Advice::EndReservations { bytes: units(2) }), "{error}");
    drop(set_aside);
    assert!(manager.allocate(sourced(5, units(10))).is_ok());
}

/// After the budget was lowered below what is fixed, that much is missing before anything can be let in.
#[test]
fn what_is_over_a_lowered_budget_is_missing_too() {
    let manager = World::host().builder(24).build().unwrap();
    let _fixed = manager.allocate(Allocation::new(units(18)).fixed()).unwrap();
    manager.set_budget(units(4)).unwrap();
    let error = manager.allocate(sourced(1, units(1))).unwrap_err();
    let (_, refusal) = parts(&error);
    assert_eq!(refusal.advice, [Advice::RaiseBudget { by: units(15) }], "{error}");
    assert_eq!(refusal.because, Because::TooFew { at_most: units(0) });
    manager.set_budget(units(18)).unwrap();
    assert!(manager.allocate(sourced(1, units(1))).is_err(), "less is not enough");
    manager.set_budget(units(19)).unwrap();
    assert!(manager.allocate(sourced(1, units(1))).is_ok());
}

/// Three fixed blocks with gaps between: with moves, another layout would do.
#[test]
fn moves_are_advised_where_they_help() {
    let refused = [false, true].map(|moves| {
        let manager = World::host().builder(8).moves(moves).build().unwrap();
        let mut blocks: Vec<_> = (0..4).map(|_| manager.allocate(Allocation::new(units(2)).fixed()).unwrap()).collect();
        blocks.remove(2);
        blocks.remove(0);
        manager.allocate(Allocation::new(units(4)).fixed()).err()
    });
    let (_, refusal) = parts(refused[0].as_ref().expect("it does not fit without moves"));
    assert!(refusal.advice.contains(&Advice::AllowMoves), "{refusal}");
    assert!(refused[1].is_none(), "and fits with them");
}

/// What has no source and no room to be written out stays: with that much more room, it leaves.
#[test]
fn a_spill_budget_is_advised_where_it_helps() {
    let with = |spill: Bytes| {
        let manager = World::host().builder(4).spill_budget(spill).build().unwrap();
        let _block = manager.allocate(Allocation::new(units(3))).unwrap();
        manager.allocate(sourced(1, units(2))).err()
    };
    let error = with(units(1)).expect("there is no room to write it out");
    let (_, refusal) = parts(&error);
    let by = refusal.advice.iter().find_map(|advice| match advice {
        Advice::RaiseSpillBudget { by } => Some(*by),
        _ => None,
    });
    assert_eq!(refusal.holders[0].why, Why::Unspillable);
    assert!(with(units(1) + by.expect("more room is advised")).is_none());
}

#[test]
fn what_is_larger_than_the_budget_says_by_how_much() {
    let world = World::host();
    let manager = world.manager(4);
    let error = manager.allocate(sourced(1, units(7))).unwrap_err();
    assert_eq!(
        error.to_string(),
        "3584 bytes asked of a manager whose largest block can be 2048 bytes: split it, or raise the budget by 1536 bytes"
    );
    manager.set_budget(units(4) + Bytes(1536)).unwrap();
    assert!(manager.allocate(sourced(1, units(7))).is_ok());
}

/// An error travels in every `Result`: what explains it is behind a pointer.
#[test]
fn an_error_is_small() {
    assert!(size_of::<Error>() <= 64, "{}", size_of::<Error>());
}
