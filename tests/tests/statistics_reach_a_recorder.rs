//! The statistics reach a recorder of `metrics`: counters as absolute values, gauges as they are, each under its manager and plugin.
//!
//! Not covered: what exporters make of it.

use freehold_tests::world::{World, load};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

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
    let handles: Vec<_> = (0..4).map(|seed| load(&manager, seed, 2)).collect();
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
