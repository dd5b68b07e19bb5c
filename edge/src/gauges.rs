//! Where streams, session and certificate stand, for whoever scrapes.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use ledge_pki::NodeCredentials;
use ledge_schemas::NodeName;
use metrics::gauge;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::edgehub::{HubState, Phase};
use crate::layout::Layout;
use crate::metric_definitions::{
    APPENDED, APPLIED, BACKLOG, BASE, CERTIFICATE_DAYS, CLOCK_OFFSET, PROVED, SESSION,
};
use crate::status::Status;
use crate::store::LogReader;

/// Between two readings.
const INTERVAL: Duration = Duration::from_secs(5);
const SECONDS_A_DAY: f64 = 86_400.0;

/// See the module.
#[derive(Debug)]
pub struct Gauges {
    /// The node.
    pub node: NodeName,
    /// Its streams.
    pub reader: LogReader,
    /// Its connection.
    pub hub: Arc<watch::Sender<HubState>>,
    /// Where its certificate is.
    pub layout: Layout,
}

impl Gauges {
    /// Reads until told to stop.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut every = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = every.tick() => self.read(),
            }
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "gauges are floating point")]
    fn read(&self) {
        // What cannot be read keeps its last value; whoever needs it says so.
        for stream in Status::streams(&self.reader, &self.node).unwrap_or_default() {
            let name = if stream.proved.is_some() { "up" } else { "down" };
            gauge!(APPENDED, "stream" => name).set(stream.head as f64);
            gauge!(APPLIED, "stream" => name).set(stream.applied as f64);
            gauge!(BASE, "stream" => name).set(stream.base as f64);
            if let (Some(proved), Some(backlog)) = (stream.proved, stream.backlog) {
                gauge!(PROVED).set(proved as f64);
                gauge!(BACKLOG).set(backlog as f64);
            }
        }
        let state = self.hub.borrow().clone();
        gauge!(SESSION).set(if state.phase == Phase::Live { state.session as f64 } else { 0.0 });
        gauge!(CLOCK_OFFSET).set(state.clock_offset_ms as f64 / 1000.0);
        if let Ok(held) = NodeCredentials::load(&self.layout.pki()) {
            let left = held.info().not_after as f64 - crate::eventbus::now().ms as f64 / 1000.0;
            gauge!(CERTIFICATE_DAYS).set(left / SECONDS_A_DAY);
        }
    }
}
