//! What can be set about links and listeners, with defaults that fit a hub of many thousand nodes.

use std::sync::Arc;
use std::time::Duration;

use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;

use crate::admission::{Admission, AdmitAll};
use crate::chunk::MAX_CHUNK;
use crate::lane::Lane;

/// Where hubs serve the WebSocket.
pub const HUB_PATH: &str = "/v1/hub";

/// Bytes that may wait in each lane of a sender. A message longer than its lane's budget may wait there
/// alone. Every message counts 64 bytes more than its length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LaneBudgets {
    /// Default 256 KiB.
    pub liveness: usize,
    /// Default 2 MiB.
    pub live: usize,
    /// Default 1 MiB.
    pub tunnel: usize,
    /// Default 4 MiB.
    pub history: usize,
}

impl Default for LaneBudgets {
    fn default() -> Self {
        const MIB: usize = 1024 * 1024;
        Self { liveness: MIB / 4, live: 2 * MIB, tunnel: MIB, history: 4 * MIB }
    }
}

impl LaneBudgets {
    pub(crate) fn of(&self, lane: Lane) -> usize {
        match lane {
            Lane::Liveness => self.liveness,
            Lane::Live => self.live,
            Lane::Tunnel => self.tunnel,
            Lane::History => self.history,
        }
    }
}

/// How a link behaves; the same type for both ends.
#[derive(Clone, Debug)]
pub struct LinkConfig {
    /// Longest message either way, bytes. Default 1 MiB + 64 KiB; at most 1 GiB.
    pub max_message: usize,
    /// Bytes that may wait per lane.
    pub lanes: LaneBudgets,
    /// Longest silence before the peer is taken for gone. It must exceed the heartbeat. Default 30 s.
    pub idle_timeout: Duration,
    /// For name resolution and TCP. Default 10 s.
    pub tcp_timeout: Duration,
    /// For the TLS handshake. Default 10 s.
    pub tls_timeout: Duration,
    /// For the WebSocket upgrade. Default 10 s.
    pub upgrade_timeout: Duration,
}

impl Default for LinkConfig {
    fn default() -> Self {
        Self {
            max_message: 1024 * 1024 + 64 * 1024,
            lanes: LaneBudgets::default(),
            idle_timeout: Duration::from_secs(30),
            tcp_timeout: Duration::from_secs(10),
            tls_timeout: Duration::from_secs(10),
            upgrade_timeout: Duration::from_secs(10),
        }
    }
}

impl LinkConfig {
    /// `max_message`, held to what a chunk header can say.
    pub(crate) fn message_limit(&self) -> usize {
        self.max_message.min(1024 * 1024 * 1024)
    }
}

/// How a listener behaves.
#[derive(Clone)]
pub struct ListenerConfig {
    /// For each link.
    pub link: LinkConfig,
    /// Path of the upgrade request; others get 404. Default [`HUB_PATH`].
    pub path: String,
    /// Links at once; more are answered 503 with `busy_retry_after`. Default 100 000.
    pub max_links: usize,
    /// Handshakes at once; further connections wait in the kernel's queue. Default 512.
    pub max_handshakes: usize,
    /// For TLS and upgrade together. Default 10 s.
    pub handshake_timeout: Duration,
    /// What a node is told when `max_links` is reached. Default 5 s.
    pub busy_retry_after: Duration,
    /// Decides over each node after TLS. Default: all are admitted.
    pub admission: Arc<dyn Admission>,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            link: LinkConfig::default(),
            path: HUB_PATH.to_owned(),
            max_links: 100_000,
            max_handshakes: 512,
            handshake_timeout: Duration::from_secs(10),
            busy_retry_after: Duration::from_secs(5),
            admission: Arc::new(AdmitAll),
        }
    }
}

impl std::fmt::Debug for ListenerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ListenerConfig")
            .field("link", &self.link)
            .field("path", &self.path)
            .field("max_links", &self.max_links)
            .field("max_handshakes", &self.max_handshakes)
            .field("handshake_timeout", &self.handshake_timeout)
            .finish_non_exhaustive()
    }
}

/// Small buffers: what an idle connection costs is multiplied by the number of nodes.
pub(crate) fn websocket_config() -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4 * 1024)
        .write_buffer_size(MAX_CHUNK)
        .max_write_buffer_size(8 * MAX_CHUNK)
        .max_message_size(Some(MAX_CHUNK))
        .max_frame_size(Some(MAX_CHUNK))
}
