//! The certificate's next life: asked for at 70 to 90 % of its term, over TLS with the one that still holds.

use std::convert::Infallible;
use std::path::PathBuf;
use std::time::Duration;

use ledge_pki::{
    JoinError, NodeCredentials, NodeKey, PkiError, RenewRequest, RenewResponse, node_client_config,
};
use ledge_process::metrics::Health;
use ledge_transport::Backoff;
use tokio_util::sync::CancellationToken;

use crate::address::HostPort;
use crate::http::{HttpError, post};
use crate::metric_definitions::RENEWALS;

/// Between two looks at the calendar.
const LOOK: Duration = Duration::from_secs(600);
/// Between two tries: from and to.
const RETRY: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(3600));
/// This part's name in the process's health.
const PART: &str = "certificate";

/// Why there is no new certificate yet.
#[derive(Debug, thiserror::Error)]
enum RenewError {
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error("the cloud did not renew this node's certificate: {0}")]
    Refused(#[from] JoinError),
}

/// Renews the certificate in time.
#[derive(Debug)]
pub struct Renewal {
    /// Where the credentials are.
    pub pki: PathBuf,
    /// Where to ask.
    pub cloud: HostPort,
    /// Where a failure is told once it is urgent.
    pub health: Health,
}

impl Renewal {
    /// Renews until told to stop.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        // This node's place in the window, drawn anew at each start.
        let spread = rand::random();
        let mut backoff = Backoff::new(RETRY.0, RETRY.1);
        loop {
            let delay = match self.renew_if_due(spread).await {
                Ok(()) => {
                    backoff.reset();
                    self.health.resolved(PART);
                    LOOK
                }
                Err(error) => {
                    metrics::counter!(RENEWALS, "outcome" => "failed").increment(1);
                    tracing::warn!(%error, cloud = %self.cloud, "the certificate could not be renewed; trying again");
                    if self.is_urgent() {
                        self.health.problem(PART, error.to_string());
                    }
                    backoff.next_delay(rand::random, None)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                () = tokio::time::sleep(delay) => {}
            }
        }
    }

    fn is_urgent(&self) -> bool {
        NodeCredentials::load(&self.pki)
            .map(|held| ledge_pki::must_renew(held.info().not_before, held.info().not_after, now()))
            .unwrap_or(true)
    }

    async fn renew_if_due(&self, spread: f64) -> Result<(), RenewError> {
        let held = NodeCredentials::load(&self.pki)?;
        if now() < held.renew_at(spread) {
            return Ok(());
        }
        let key = NodeKey::generate()?;
        let request = RenewRequest { csr_pem: key.signing_request(held.node())? };
        let (status, body) = post(&self.cloud, node_client_config(&held)?, "/v1/renew", &request).await?;
        if status != 200 {
            return Err(JoinError::parse(status, &body).into());
        }
        RenewResponse::parse(&body)?.accept(&held, key, now())?.store(&self.pki)?;
        metrics::counter!(RENEWALS, "outcome" => "done").increment(1);
        tracing::info!("the certificate is renewed");
        Ok(())
    }
}

/// Unix seconds.
fn now() -> ledge_pki::UnixSeconds {
    i64::try_from(crate::eventbus::now().ms / 1000).unwrap_or(i64::MAX)
}
