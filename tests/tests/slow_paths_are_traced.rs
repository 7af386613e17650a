//! Whatever takes long is a span or an event of `tracing`, and nothing else is: an access to what is resident and an allocation that fits
//! say nothing. The statistics reach a recorder of `metrics`.
//!
//! Not covered: what subscribers and exporters make of it.

use freehold_cuda::{Allocation, VramManager};
use freehold_tests::world::{World, load, sourced, units};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

/// Remembers the names of spans, and the targets and levels of events, in their order.
#[derive(Clone, Debug, Default)]
struct Names(Arc<Mutex<Vec<String>>>);

impl Names {
    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

impl Subscriber for Names {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("freehold")
    }
    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.lock().unwrap().push(span.metadata().name().to_owned());
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        self.0.lock().unwrap().push(format!("event: {}", event.metadata().level()));
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn full(manager: &VramManager) -> Vec<freehold_cuda::VramHandle> {
    (0..4).map(|seed| load(manager, seed, 2)).collect()
}

#[test]
fn spans_name_what_takes_long() {
    let names = Names::default();
    tracing::subscriber::with_default(names.clone(), || {
        let manager = World::host().manager(8);
        let handles = full(&manager);
        assert_eq!(names.take(), ["event: DEBUG", "materialise", "materialise", "materialise", "materialise"]);
        drop(handles[0].access().unwrap());
        assert_eq!(names.take(), [""; 0], "a resident access says nothing");
        drop(load(&manager, 9, 2));
        assert_eq!(names.take(), ["make_room", "evict", "materialise"]);
        drop(manager.allocate(Allocation::new(units(2)).fixed()).unwrap());
        assert_eq!(names.take(), [""; 0], "nor does an allocation that fits");
        let _guards: Vec<_> = handles.iter().map(|handle| handle.access()).collect();
        names.take();
        assert!(manager.allocate(sourced(10, units(1))).is_err());
        assert_eq!(names.take(), ["make_room", "event: INFO"], "a refusal");
        let timeout = std::time::Duration::from_millis(1);
        assert!(manager.allocate_timeout(sourced(10, units(1)), timeout).is_err());
        assert!(names.take().contains(&"wait".to_owned()));
    });
}

#[test]
fn a_move_is_a_span() {
    let names = Names::default();
    tracing::subscriber::with_default(names.clone(), || {
        let manager = World::host().manager(8);
        let mut blocks: Vec<_> = (0..4).map(|_| manager.allocate(Allocation::new(units(2)).fixed()).unwrap()).collect();
        blocks.remove(2);
        blocks.remove(0);
        names.take();
        drop(manager.allocate(Allocation::new(units(4)).fixed()).unwrap());
        assert_eq!(names.take(), ["make_room", "move"]);
    });
}

type Told = Arc<Mutex<BTreeMap<String, f64>>>;

/// A recorder that keeps the last value of each series.
#[derive(Default)]
struct Series(Told);

struct One(Told, String);

impl metrics::CounterFn for One {
    fn increment(&self, _: u64) {
        panic!("counters are told as absolute values");
    }
    fn absolute(&self, value: u64) {
        self.0.lock().unwrap().insert(self.1.clone(), value as f64);
    }
}

impl metrics::GaugeFn for One {
    fn increment(&self, _: f64) {
        panic!("gauges are set");
    }
    fn decrement(&self, _: f64) {
        panic!("gauges are set");
    }
    fn set(&self, value: f64) {
        self.0.lock().unwrap().insert(self.1.clone(), value);
    }
}

impl Series {
    fn one(&self, key: &metrics::Key) -> Arc<One> {
        let labels: Vec<String> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(One(Arc::clone(&self.0), format!("{}{{{}}}", key.name(), labels.join(","))))
    }
}

impl metrics::Recorder for Series {
    fn describe_counter(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_gauge(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn describe_histogram(&self, _: metrics::KeyName, _: Option<metrics::Unit>, _: metrics::SharedString) {}
    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        metrics::Counter::from_arc(self.one(key))
    }
    fn register_gauge(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        metrics::Gauge::from_arc(self.one(key))
    }
    fn register_histogram(&self, _: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Histogram {
        metrics::Histogram::noop()
    }
}

#[test]
fn a_recorder_is_told_the_statistics() {
    let manager = World::host().manager(8);
    let handles = full(&manager);
    drop(load(&manager, 9, 2));
    drop(handles[3].access().unwrap());
    let series = Series::default();
    for _ in 0..2 {
        metrics::with_local_recorder(&series, || manager.publish_metrics("card"));
    }
    let told = series.0.lock().unwrap();
    let of = |name: &str| *told.get(name).unwrap_or_else(|| panic!("{name} is not in {told:#?}"));
    assert_eq!(of("freehold_evictions_total{manager=card,plugin=}"), 1.0);
    assert_eq!(of("freehold_loads_total{manager=card,plugin=}"), 5.0);
    assert_eq!(of("freehold_access_hits_total{manager=card,plugin=}"), 1.0);
    assert_eq!(of("freehold_allocated_bytes{manager=card}"), 6.0 * 512.0);
    assert_eq!(of("freehold_entries{manager=card,state=absent}"), 1.0);
    assert_eq!(of("freehold_priority_evictions_total{manager=card,priority=0}"), 1.0);
}
