//! What operators see of a running server: logs, traces and metrics. None of them holds personal data.

mod logs;
mod prometheus;
mod traces;

use std::time::Duration;

use opentelemetry::trace::TracerProvider;
use opentelemetry_sdk::trace::SdkTracerProvider;
use tracing::level_filters::LevelFilter;
use tracing::{Subscriber, subscriber};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::{Layer, Registry, layer::SubscriberExt};

use crate::settings::{Log, Telemetry};

pub use codeccloud_actors::metrics_catalogue;
use codeccloud_actors::trace;
pub use prometheus::Prometheus;
pub use traces::{set_parent, traceparent_of};

#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    #[error("traces can't be exported: {0}")]
    Exporter(#[from] opentelemetry_otlp::ExporterBuildError),
    #[error("logs were set up before")]
    SetUpBefore(#[from] subscriber::SetGlobalDefaultError),
}

/// Sends what is left of the traces when it is dropped: keep it until the server has stopped.
#[must_use]
#[derive(Debug)]
pub struct TelemetryGuard {
    provider: Option<SdkTracerProvider>,
}

/// Sets up logs and, with an endpoint, traces for the whole process; once.
pub fn start(log: &Log, telemetry: &Telemetry) -> Result<TelemetryGuard, TelemetryError> {
    let provider = traces::provider(telemetry)?;
    subscriber::set_global_default(subscriber(log, provider.as_ref()))?;
    Ok(TelemetryGuard { provider })
}

/// The log's filter doesn't thin out the traces: they hold every span from `info` on, and those that are for traces only.
fn subscriber(log: &Log, provider: Option<&SdkTracerProvider>) -> impl Subscriber + Send + Sync + use<> {
    let traces = provider.map(|provider| {
        tracing_opentelemetry::layer()
            .with_tracer(provider.tracer("codeccloud"))
            .with_location(false)
            .with_threads(false)
            .with_filter(Targets::new().with_default(LevelFilter::INFO).with_target(trace::TARGET, LevelFilter::DEBUG))
    });
    Registry::default().with(logs::layer(log)).with(traces)
}

impl Drop for TelemetryGuard {
    fn drop(&mut self) {
        /// A collector that doesn't answer must not hold up the stop.
        const TIMEOUT: Duration = Duration::from_secs(1);
        if let Some(provider) = self.provider.take()
            && let Err(error) = provider.shutdown_with_timeout(TIMEOUT)
        {
            tracing::warn!(%error, "the last traces were not sent");
        }
    }
}

#[cfg(test)]
mod tests;
