use std::sync::OnceLock;
use std::time::Duration;

use metrics::gauge;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use tokio::time::{MissedTickBehavior, interval};

use super::metrics_catalogue::{ALL, Kind, PROCESS_MEMORY, describe_all};

/// Histogram samples pile up between two rounds, unless somebody scrapes.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// The process's metrics, in Prometheus' text format.
#[derive(Clone)]
pub struct Prometheus {
    handle: PrometheusHandle,
}

impl Prometheus {
    /// There is one recorder per process: a second call gives the same.
    pub fn install() -> Prometheus {
        static INSTALLED: OnceLock<PrometheusHandle> = OnceLock::new();
        let handle = INSTALLED.get_or_init(|| {
            let recorder = recorder();
            let handle = recorder.handle();
            assert!(metrics::set_global_recorder(recorder).is_ok(), "nothing else installs a recorder");
            describe_all();
            handle
        });
        Prometheus { handle: handle.clone() }
    }

    pub fn render(&self) -> String {
        record_memory();
        self.handle.render()
    }

    /// Runs for as long as the server does.
    pub async fn upkeep(self) {
        let mut rounds = interval(UPKEEP_EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            rounds.tick().await;
            self.handle.run_upkeep();
        }
    }
}

pub(super) fn recorder() -> PrometheusRecorder {
    let with_buckets = |builder: PrometheusBuilder, (name, buckets): (&str, &[f64])| {
        let builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), buckets);
        builder.expect("the catalogue's histograms have buckets")
    };
    let histograms = ALL.iter().filter_map(|metric| match metric.kind {
        Kind::Histogram(buckets) => Some((metric.name, buckets)),
        Kind::Counter | Kind::Gauge => None,
    });
    histograms.fold(PrometheusBuilder::new(), with_buckets).build_recorder()
}

fn record_memory() {
    if let Some(bytes) = std::fs::read_to_string("/proc/self/status").ok().as_deref().and_then(resident_bytes) {
        gauge!(PROCESS_MEMORY.name).set(bytes);
    }
}

/// Linux tells it in KiB.
pub(super) fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib * 1024.0)
}
