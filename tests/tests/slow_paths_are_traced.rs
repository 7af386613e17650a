//! Whatever takes long is a span or an event of `tracing`, and nothing else is: an access to what is resident and an allocation that fits
//! say nothing.
//!
//! Not covered: what subscribers make of it.

use freehold_cuda::{Allocation, VramManager};
use freehold_tests::world::{World, load, sourced, units};
use std::cell::RefCell;
use std::sync::Once;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

thread_local! {
    /// The names of spans, and the levels of events, that this thread has met since it last asked, in their order.
    static NAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// The subscriber of the whole process. One a test would not do: a place in the code remembers whether anybody listens, and decides it by
/// the thread that comes there first, which may be another test's.
struct Names;

impl Names {
    fn listen() {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| tracing::subscriber::set_global_default(Names).unwrap());
    }

    fn take() -> Vec<String> {
        NAMES.take()
    }

    fn push(name: String) {
        NAMES.with_borrow_mut(|names| names.push(name));
    }
}

impl Subscriber for Names {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("freehold")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Names::push(span.metadata().name().to_owned());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        Names::push(format!("event: {}", event.metadata().level()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn full(manager: &VramManager) -> Vec<freehold_cuda::VramHandle> {
    (0..4).map(|seed| load(manager, seed, 2)).collect()
}

#[test]
fn spans_name_what_takes_long() {
    Names::listen();
    let manager = World::host().manager(8);
    let handles = full(&manager);
    assert_eq!(Names::take(), ["event: DEBUG", "materialise", "materialise", "materialise", "materialise"]);
    drop(handles[0].access().unwrap());
    assert_eq!(Names::take(), [""; 0], "a resident access says nothing");
    drop(load(&manager, 9, 2));
    assert_eq!(Names::take(), ["make_room", "evict", "materialise"]);
    drop(manager.allocate(Allocation::new(units(2)).fixed()).unwrap());
    assert_eq!(Names::take(), [""; 0], "nor does an allocation that fits");
    let _guards: Vec<_> = handles.iter().map(|handle| handle.access()).collect();
    Names::take();
    assert!(manager.allocate(sourced(10, units(1))).is_err());
    assert_eq!(Names::take(), ["make_room", "event: INFO"], "a refusal");
    let timeout = std::time::Duration::from_millis(1);
    assert!(manager.allocate_timeout(sourced(10, units(1)), timeout).is_err());
    assert!(Names::take().contains(&"wait".to_owned()));
}

#[test]
fn a_move_is_a_span() {
    Names::listen();
    let manager = World::host().manager(8);
    let mut blocks: Vec<_> = (0..4).map(|_| manager.allocate(Allocation::new(units(2)).fixed()).unwrap()).collect();
    blocks.remove(2);
    blocks.remove(0);
    Names::take();
    drop(manager.allocate(Allocation::new(units(4)).fixed()).unwrap());
    assert_eq!(Names::take(), ["make_room", "move"]);
}
