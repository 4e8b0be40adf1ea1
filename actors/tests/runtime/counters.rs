//! What the metrics of this process say.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use codeccloud_actors::metrics_catalogue::Metric;
use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};

/// By the metric's name and its only label.
type ByLabel = HashMap<(String, String), Arc<AtomicU64>>;

#[derive(Default, Clone)]
struct Counters(Arc<Mutex<ByLabel>>);

static COUNTERS: LazyLock<Counters> = LazyLock::new(|| {
    let counters = Counters::default();
    assert!(metrics::set_global_recorder(counters.clone()).is_ok(), "nobody else records in this process");
    counters
});

/// Counted so far under one value of the metric's only label. Shared by all tests that run at the time.
pub fn value(metric: &Metric, label: &str) -> u64 {
    COUNTERS.counter(metric.name, label).load(Ordering::SeqCst)
}

impl Counters {
    fn counter(&self, name: &str, label: &str) -> Arc<AtomicU64> {
        self.0.lock().unwrap().entry((name.to_owned(), label.to_owned())).or_default().clone()
    }
}

impl Recorder for Counters {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        let label = key.labels().next().map_or("", |label| label.value());
        Counter::from_arc(self.counter(key.name(), label))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}
