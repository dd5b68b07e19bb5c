//! The bridge: a client of a broker that is there already, for example mosquitto.
//!
//! One persistent 3.1.1 session. A message is acknowledged to the broker when the handler has answered
//! `Ok`, in order; what is not acknowledged the broker delivers again after a reconnect. Published messages
//! stay in the outbox until the broker has acknowledged them, whatever happens to connections and to the
//! broker's memory of the session.
//!
//! ```text
//!   broker ──PUBLISH──► Link ──Intake──► handler        Publisher ──queue──► Outbox ──► broker
//!          ◄──PUBACK───        ◄──Ok────                                ▲ PUBACK: gone
//! ```
//!
//! Why not `rumqttc` (0.25): it forgets unacknowledged publishes when the broker comes back without the
//! session, it does not tell which publish was acknowledged, and an acknowledgement given to it around a
//! reconnect may go out in the next session, for another message with the same packet id. Each loses
//! messages. The broker's own codec, socket and intake make up for it with one file, `link`.
//!
//! Reading order: `config` → `outbox` → `link`.

mod config;
mod link;
mod outbox;

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use config::{BridgeConfig, BridgeError};
use link::{Link, Shared};
use outbox::Outbox;

use crate::handler::Handler;
use crate::metric_definitions::BRIDGE_CONNECTS;
use crate::publisher::Publisher;

/// A client of an external broker that does not run yet.
pub struct Bridge {
    shared: Shared,
}

impl Bridge {
    /// Checks the settings; [`Self::run`] connects. `url` is `mqtt://HOST[:PORT]`.
    pub fn new(
        url: &str,
        config: BridgeConfig,
        handler: Arc<dyn Handler>,
    ) -> Result<(Self, Publisher), BridgeError> {
        let (host, port) = config::address(url)?;
        config::check(&config)?;
        let (sender, queue) = mpsc::channel(config.queue);
        let publisher = Publisher::to_bridge(sender, config.max_packet - 32);
        let client_id = config.client_id.as_str().into();
        let shared = Shared { config, host, port, client_id, handler, queue, outbox: Outbox::default() };
        Ok((Self { shared }, publisher))
    }

    /// Connects, again and again, and serves until `stop`; then what the handler and the broker have is
    /// seen through, within the drain timeout.
    pub async fn run(mut self, stop: CancellationToken) {
        let (first, last) = self.shared.config.reconnect;
        let mut wait = first;
        while !stop.is_cancelled() {
            let started = Instant::now();
            let opened = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                opened = Link::open(&mut self.shared) => opened,
            };
            let ended = match opened {
                Ok(link) => link.run(&stop).await,
                Err(error) => {
                    metrics::counter!(BRIDGE_CONNECTS, "outcome" => "failed").increment(1);
                    Err(error)
                }
            };
            let Err(error) = ended else { break };
            let (host, port) = (&self.shared.host, self.shared.port);
            if started.elapsed() > last {
                wait = first;
            }
            tracing::warn!(%host, port, %error, retry = ?wait, "mqtt bridge is not connected");
            tokio::select! {
                biased;
                () = stop.cancelled() => break,
                () = tokio::time::sleep(wait) => {}
            }
            wait = (wait * 2).min(last);
        }
        let unsent = self.shared.outbox.flights.len() + self.shared.queue.len();
        if unsent > 0 {
            tracing::warn!(
                messages = unsent,
                "mqtt bridge stops with messages that its broker does not have"
            );
        }
    }
}
