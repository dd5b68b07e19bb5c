//! What can be set on the broker. Every bound has a default that suits a small edge node.

use std::time::Duration;

use crate::credentials::Credentials;

/// Limits and manners of the broker.
#[derive(Debug, Clone)]
pub struct BrokerConfig {
    /// Who may connect. Empty: anybody, and then only a loopback address can be bound. Default: empty.
    pub credentials: Vec<Credentials>,
    /// Largest packet either way, bytes, the whole packet. Default: 1 MiB. At most 268,435,460.
    pub max_packet: usize,
    /// Open connections. More are closed at once. Default: 4,096.
    pub max_connections: usize,
    /// Sessions, connected or not. A new client id beyond them is refused. Default: 10,000.
    pub max_sessions: usize,
    /// Filters of one session. More are answered with "quota exceeded". Default: 1,000.
    pub max_filters: usize,
    /// From accepting a connection to its whole `CONNECT`. Default: 10 s.
    pub connect_timeout: Duration,
    /// Messages of one client with the handler at once, and the receive maximum announced. Default: 64.
    pub receive_window: u16,
    /// QoS 1 messages to one client that it has not acknowledged. Default: 64.
    pub send_window: u16,
    /// How long a v5 client is not read after the handler was busy. Default: 100 ms.
    pub busy_pause: Duration,
    /// Deliveries waiting for one session. Default: 1,000.
    pub max_queued_messages: usize,
    /// Bytes of them; a message for many sessions counts in each. Default: 4 MiB.
    pub max_queued_bytes: usize,
    /// Retained messages. Beyond it new topics are routed but not kept. Default: 10,000.
    pub max_retained: usize,
    /// Bytes of them. Default: 16 MiB.
    pub max_retained_bytes: usize,
    /// Longest life of a session without a connection: what 3.1.1 persistent sessions get and v5 sessions
    /// at most. Default: 7 days.
    pub session_expiry: Duration,
    /// How long a peer may take nothing of what is sent to it. Default: 30 s.
    pub write_timeout: Duration,
    /// How long the handler may take for the last messages of a client that has left, or when the broker
    /// stops. Default: 5 s.
    pub drain_timeout: Duration,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            credentials: Vec::new(),
            max_packet: 1 << 20,
            max_connections: 4_096,
            max_sessions: 10_000,
            max_filters: 1_000,
            connect_timeout: Duration::from_secs(10),
            receive_window: 64,
            send_window: 64,
            busy_pause: Duration::from_millis(100),
            max_queued_messages: 1_000,
            max_queued_bytes: 4 << 20,
            max_retained: 10_000,
            max_retained_bytes: 16 << 20,
            session_expiry: Duration::from_secs(7 * 24 * 3600),
            write_timeout: Duration::from_secs(30),
            drain_timeout: Duration::from_secs(5),
        }
    }
}
