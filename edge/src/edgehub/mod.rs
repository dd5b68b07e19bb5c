//! EdgeHub: the one connection to the cloud. Opened from here, again and again, with full jitter and the
//! hub's retry-after; nothing else in the process waits for it.
//!
//! Reading order: state → observer → here → renewal.

mod observer;
mod renewal;
mod state;

pub use renewal::Renewal;
pub use state::{HubState, Phase};

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ledge_core::log::StoreError;
use ledge_core::sync::commands::edge::{proved, session_record};
use ledge_core::sync::message::{Direction, RefuseCode};
use ledge_core::sync::{CloseReason, EdgeSession, SessionLog};
use ledge_pki::{NodeCredentials, PkiError, node_client_config};
use ledge_schemas::Seq;
use ledge_session::{Ended, SessionStore, drive};
use ledge_transport::{Backoff, ConnectError, ConnectTarget, LinkConfig, connect};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::address::HostPort;
use crate::metric_definitions::{CONNECT_ATTEMPTS, RECONNECTS};
use crate::store::{Log, LogReader};
use observer::Observer;

/// How a connection went.
#[derive(Debug, thiserror::Error)]
enum AttemptError {
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// See the module.
#[derive(Debug)]
pub struct EdgeHub {
    /// What is synced.
    pub store: SessionStore<Log, LogReader>,
    /// Hubs, in the order to try them.
    pub hubs: Vec<HostPort>,
    /// Where the credentials are; read for each connection, so that a renewed certificate is used.
    pub pki: PathBuf,
    /// Where the state is told.
    pub state: Arc<watch::Sender<HubState>>,
}

impl EdgeHub {
    /// Connects until told to stop.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut backoff = Backoff::default();
        for hub in self.hubs.iter().cycle() {
            self.state.send_modify(|state| state.connecting(hub));
            let attempt = self.attempt(hub, &stop).await;
            if stop.is_cancelled() {
                break;
            }
            metrics::counter!(CONNECT_ATTEMPTS).increment(1);
            if self.state.borrow().phase == Phase::Live {
                metrics::counter!(RECONNECTS).increment(1);
                backoff.reset();
            }
            let (retry_after, quarantined) = wishes(&attempt);
            let restart = matches!(&attempt, Ok(Ended::Over { reason: CloseReason::Restart, .. }));
            let delay = match restart {
                true => Duration::ZERO,
                false => backoff.next_delay(rand::random, retry_after),
            };
            let why = match &attempt {
                Ok(ended) => ended.to_string(),
                Err(error) => error.to_string(),
            };
            if quarantined {
                tracing::error!(%hub, why, retry = ?delay, "the cloud does not take this node");
            } else {
                tracing::info!(%hub, why, retry = ?delay, "not connected to the cloud");
            }
            self.state.send_modify(|state| state.waiting(quarantined, why));
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(delay) => {}
            }
        }
        // Without any hub there is nothing to do but to be stopped.
        stop.cancelled().await;
        Ok(())
    }

    async fn attempt(&self, hub: &HostPort, stop: &CancellationToken) -> Result<Ended, AttemptError> {
        let tls = node_client_config(&NodeCredentials::load(&self.pki)?)?;
        let target = ConnectTarget::hub(&hub.host, hub.port)?;
        let config = LinkConfig::default();
        let link = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(Ended::Stopped),
            link = connect(&target, tls, &config) => link?,
        };
        let log = self.store.log();
        let record = session_record(&self.store.reader)?;
        let accepted = match log.head(Direction::Up)? {
            Some(up) => proved(&self.store.reader, up.base.log_id)?,
            None => Seq::ZERO,
        };
        let (began, wall_ms) = (Instant::now(), crate::eventbus::now().ms);
        let (session, opening) = EdgeSession::start(&self.store.node, &record, &log, 0, wall_ms, accepted)?;
        let mut observer = Observer { state: Arc::clone(&self.state) };
        Ok(drive(session, opening, began, link, &self.store, &mut observer, stop).await)
    }
}

/// How long to stay away, and whether an operator is needed.
fn wishes(attempt: &Result<Ended, AttemptError>) -> (Option<Duration>, bool) {
    match attempt {
        Ok(Ended::Over { reason: CloseReason::Refused(code, _), retry_after }) => {
            (*retry_after, *code == RefuseCode::Quarantined)
        }
        Ok(Ended::Over { retry_after, .. }) => (*retry_after, false),
        Ok(Ended::Lost(_) | Ended::Stopped) => (None, false),
        Err(AttemptError::Connect(error)) => (error.retry_after(), false),
        Err(AttemptError::Pki(_) | AttemptError::Store(_)) => (None, false),
    }
}
