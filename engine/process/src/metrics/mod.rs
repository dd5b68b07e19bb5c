//! Metrics of the process over HTTP/1.1: `GET /metrics` (Prometheus text) and `GET /healthz`.
//!
//! Every crate records through the `metrics` macros; [`install`] decides that they end up in one Prometheus
//! recorder. Names and units are in each crate's `metric_definitions`; dots become underscores when scraped.

mod health;
pub mod metric_definitions;
mod process;
mod server;

pub use health::Health;
pub use server::{MetricsError, MetricsServer};

use std::sync::{Mutex, PoisonError};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Upper bounds in seconds of every histogram whose name ends in `duration.seconds`: 50 µs to 10 s, as an fdatasync, a
/// round trip and a timeout lie far apart.
const DURATION_BUCKETS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0, 10.0,
];

/// Makes Prometheus the process's recorder. A second call hands back the same recorder.
pub fn install() -> Result<PrometheusHandle, MetricsError> {
    static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("duration.seconds".to_owned()), &DURATION_BUCKETS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|source| MetricsError::Recorder { source })?;
    metric_definitions::describe();
    *installed = Some(handle.clone());
    Ok(handle)
}
