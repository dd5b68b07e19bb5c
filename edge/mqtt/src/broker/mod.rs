//! The embedded broker.
//!
//! Reading order: `config` → `hub` (what is shared) → `session` → `routes`, `retained` → `handshake` →
//! `connection` → `end`.

mod config;
mod connection;
mod end;
mod handshake;
mod hub;
mod retained;
mod routes;
mod session;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use config::BrokerConfig;
use connection::Connection;
pub(crate) use hub::Hub;

use crate::handler::Handler;
use crate::metric_definitions::{CLOSED, CONNECTIONS, REJECTED};
use crate::publisher::Publisher;
use crate::socket::Socket;

/// Smallest and largest packet limit that make sense: a `CONNECT` must fit, and the wire knows no more.
const PACKET_LIMITS: std::ops::RangeInclusive<usize> = 1_024..=268_435_460;

/// Why the broker cannot be there.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Anybody on the network could command the node's devices.
    #[error(
        "a broker without passwords listens on a loopback address only, and {addr} is none; \
             bind 127.0.0.1 or ::1, or configure credentials"
    )]
    OpenToNetwork {
        /// The address asked for.
        addr: SocketAddr,
    },
    /// A limit that cannot work.
    #[error("broker setting {setting} is {value}; it must be {wanted}")]
    Setting {
        /// Its name in [`BrokerConfig`].
        setting: &'static str,
        /// What it is.
        value: usize,
        /// What it may be.
        wanted: &'static str,
    },
    /// The system does not give the port.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address asked for.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// An MQTT 3.1.1 and 5.0 broker that listens and does not serve yet.
pub struct Broker {
    hub: Arc<Hub>,
    listener: TcpListener,
    addr: SocketAddr,
}

impl Broker {
    /// Listens on `addr`; port 0 takes a free one. [`Publisher`] works at once, [`Self::run`] serves.
    pub async fn bind(
        addr: SocketAddr,
        config: BrokerConfig,
        handler: Arc<dyn Handler>,
    ) -> Result<(Self, Publisher), BindError> {
        if config.credentials.is_empty() && !addr.ip().is_loopback() {
            return Err(BindError::OpenToNetwork { addr });
        }
        check(&config)?;
        let listen = |source| BindError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(listen)?;
        let addr = listener.local_addr().map_err(listen)?;
        // Fixed header, packet id and the smallest property block come on top of topic and payload.
        let max = config.max_packet - 32;
        let hub = Hub::new(config, handler);
        let publisher = Publisher::to_broker(Arc::clone(&hub), max);
        Ok((Self { hub, listener, addr }, publisher))
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Serves until `stop`; then every client's messages that the handler has are seen through, within
    /// the drain timeout, and every client is disconnected.
    pub async fn run(self, stop: CancellationToken) {
        let tracker = TaskTracker::new();
        let places = Arc::new(Semaphore::new(self.hub.config.max_connections));
        tracker.spawn(tidy(Arc::clone(&self.hub), tracker.clone(), stop.clone()));
        tracing::info!(addr = %self.addr, passwords = !self.hub.config.credentials.is_empty(), "mqtt broker serves");
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: trying again at once would only burn time.
                    tracing::warn!(%error, "cannot accept an mqtt connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                metrics::counter!(REJECTED, "reason" => "limit").increment(1);
                tracing::debug!(%peer, "too many mqtt connections");
                continue;
            };
            let (hub, stop) = (Arc::clone(&self.hub), stop.clone());
            tracker.spawn(async move {
                serve(hub, stream, peer, stop).await;
                drop(place);
            });
        }
        drop(self.listener);
        self.hub.close();
        tracker.close();
        tracker.wait().await;
    }
}

fn check(config: &BrokerConfig) -> Result<(), BindError> {
    if !PACKET_LIMITS.contains(&config.max_packet) {
        let wanted = "1024 to 268435460 bytes";
        return Err(BindError::Setting { setting: "max_packet", value: config.max_packet, wanted });
    }
    for (setting, value) in [
        ("max_connections", config.max_connections.min(Semaphore::MAX_PERMITS)),
        ("max_sessions", config.max_sessions),
        ("receive_window", config.receive_window.into()),
        ("send_window", config.send_window.into()),
        ("max_queued_messages", config.max_queued_messages),
    ] {
        if value == 0 {
            return Err(BindError::Setting { setting, value, wanted: "at least 1" });
        }
    }
    Ok(())
}

async fn serve(hub: Arc<Hub>, stream: TcpStream, peer: SocketAddr, stop: CancellationToken) {
    let reject = |reason: &'static str, error: &dyn std::fmt::Display| {
        metrics::counter!(REJECTED, "reason" => reason).increment(1);
        tracing::debug!(%peer, %error, "mqtt connection rejected");
    };
    let mut socket = match Socket::new(stream, hub.config.max_packet) {
        Ok(socket) => socket,
        Err(error) => return reject("network", &error),
    };
    let admitted = tokio::select! {
        biased;
        () = stop.cancelled() => return,
        admitted = tokio::time::timeout(hub.config.connect_timeout, handshake::admit(&hub, &mut socket)) => admitted,
    };
    let (connect, mut opened) = match admitted {
        Ok(Ok(admitted)) => admitted,
        Ok(Err(error @ handshake::HandshakeError::Network(_))) => return reject("network", &error),
        Ok(Err(error)) => {
            reject("rejected", &error);
            socket.finish(Duration::from_secs(1)).await;
            return;
        }
        Err(late) => return reject("timeout", &late),
    };
    let _open = OpenConnection::new();
    let client = Arc::clone(&opened.session.id);
    tracing::debug!(client.id = %client, %peer, session.present = opened.present, "mqtt client connected");
    if let Some(will) = opened.will.take() {
        hub.publish_will(Arc::clone(&client), will).await;
    }
    let end = Connection::new(hub, socket, *connect, opened).run(&stop).await;
    metrics::counter!(CLOSED, "reason" => end.label()).increment(1);
    if end.is_odd() {
        tracing::warn!(client.id = %client, %peer, reason = %end, "mqtt client disconnected");
    } else {
        tracing::debug!(client.id = %client, %peer, reason = %end, "mqtt client gone");
    }
}

/// Counts a connection while it is open, however it ends.
struct OpenConnection;

impl OpenConnection {
    fn new() -> Self {
        metrics::gauge!(CONNECTIONS).increment(1);
        Self
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        metrics::gauge!(CONNECTIONS).decrement(1);
    }
}

/// Once a second: sessions whose time has come, wills whose delay is over.
async fn tidy(hub: Arc<Hub>, tracker: TaskTracker, stop: CancellationToken) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = every.tick() => {}
        }
        for (client, will) in hub.tidy() {
            let hub = Arc::clone(&hub);
            tracker.spawn(async move { hub.publish_will(client, will).await });
        }
    }
}
