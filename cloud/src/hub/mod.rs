//! CloudHub: terminates the sessions of nodes. It keeps no state that is not in the log, apart from who
//! is connected now.
//!
//! ```text
//!   Listener ──Link, certificate──► CloudSession, driven by ledge-session ──commands──► writer
//!                                        └── live, overlay, acknowledged ──► Sessions ──NodeEvent──► controllers
//! ```

mod session;
mod sessions;

pub use sessions::{NodeEvent, NodeEvents, Sessions, Snapshot};

use std::convert::Infallible;
use std::time::Instant;

use ledge_core::sync::CloudSession;
use ledge_core::sync::commands::Side;
use ledge_pki::RevocationList;
use ledge_schemas::NodeName;
use ledge_session::{SessionStore, drive};
use ledge_transport::{Accepted, Listener, Verdict};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::log::Log;
use crate::metric_definitions as names;
use session::{Observer, Tracked};

/// Whom the hub's listener admits: everyone whose certificate was not revoked.
pub fn admission(revoked: RevocationList) -> impl Fn(&ledge_pki::PeerIdentity, usize) -> Verdict {
    move |peer, _| match revoked.check(peer) {
        Ok(()) => Verdict::Admit,
        Err(revoked) => Verdict::Refuse(revoked.to_string()),
    }
}

/// Serves nodes until told to stop; then their sessions are ended.
pub async fn run(
    mut listener: Listener,
    log: Log,
    sessions: Sessions,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let connections = TaskTracker::new();
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Some(accepted) => drop(connections.spawn(serve(accepted, log.clone(), sessions.clone(), stop.child_token()))),
                None => return Ok(()),
            },
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}

async fn serve(accepted: Accepted, log: Log, sessions: Sessions, stop: CancellationToken) {
    let Accepted { link, peer, address } = accepted;
    let node = match NodeName::new(peer.node.clone()) {
        Ok(node) => node,
        Err(error) => {
            tracing::warn!(%address, %error, "a certificate names no node");
            return;
        }
    };
    metrics::gauge!(names::CONNECTIONS).increment(1.0);
    let connection = sessions.connected(&node, &peer.serial, address, stop.clone());
    let session = Tracked::new(CloudSession::start(node.clone(), 0), connection.clone());
    let store =
        SessionStore { writer: log.writer, reader: log.reader, node: node.clone(), side: Side::Cloud };
    let mut observer = Observer::new(connection.clone());
    let ended = drive(session, Vec::new(), Instant::now(), link, &store, &mut observer, &stop).await;
    tracing::info!(%node, %address, reason = %ended, "session ended");
    connection.ended();
    metrics::gauge!(names::CONNECTIONS).decrement(1.0);
}
