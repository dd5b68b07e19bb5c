//! Where the external broker is, and how the bridge deals with it.

use std::time::Duration;

use crate::credentials::Credentials;
use crate::topic;

/// Settings of the bridge.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// Stable over restarts: it names the session in which the broker keeps what the bridge has not
    /// acknowledged. 1 to 1,024 bytes, and nobody else's.
    pub client_id: String,
    /// Filters to subscribe with QoS 1.
    pub subscriptions: Vec<String>,
    /// What the broker asks for, if it does.
    pub credentials: Option<Credentials>,
    /// Silence after which a ping is sent; one and a half times it ends the connection. Seconds count.
    /// Default: 30 s.
    pub keep_alive: Duration,
    /// Largest packet either way, bytes. Default: 1 MiB.
    pub max_packet: usize,
    /// Messages of [`crate::Publisher`] waiting for the broker; then publishing waits. Default: 1,000.
    pub queue: usize,
    /// Messages with the handler at once. Default: 64.
    pub receive_window: usize,
    /// Published messages that the broker has not acknowledged. Default: 32.
    pub send_window: usize,
    /// For connecting and for the answer to it. Default: 10 s.
    pub connect_timeout: Duration,
    /// First and last wait between attempts to connect; it doubles in between. Default: 250 ms to 5 s.
    pub reconnect: (Duration, Duration),
    /// How long the handler and the broker may take for the last messages when the bridge stops or has
    /// lost its connection. Default: 5 s.
    pub drain_timeout: Duration,
}

impl BridgeConfig {
    /// Defaults for a client id and filters.
    pub fn new(
        client_id: impl Into<String>,
        subscriptions: impl IntoIterator<Item = impl Into<String>>,
    ) -> Self {
        Self {
            client_id: client_id.into(),
            subscriptions: subscriptions.into_iter().map(Into::into).collect(),
            credentials: None,
            keep_alive: Duration::from_secs(30),
            max_packet: 1 << 20,
            queue: 1_000,
            receive_window: 64,
            send_window: 32,
            connect_timeout: Duration::from_secs(10),
            reconnect: (Duration::from_millis(250), Duration::from_secs(5)),
            drain_timeout: Duration::from_secs(5),
        }
    }
}

/// Why there is no bridge.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BridgeError {
    /// Not an address of a broker.
    #[error("{url:?} is not a broker's address; write mqtt://HOST or mqtt://HOST:PORT")]
    Url {
        /// What was given.
        url: String,
    },
    /// Not a filter.
    #[error("{filter:?} cannot be subscribed: it is empty or its wildcards do not fill a level")]
    Filter {
        /// What was given.
        filter: String,
    },
    /// A setting that cannot work.
    #[error("bridge setting {setting} must be {wanted}")]
    Setting {
        /// Its name in [`BridgeConfig`].
        setting: &'static str,
        /// What it may be.
        wanted: &'static str,
    },
}

/// Host and port of `mqtt://HOST[:PORT]`; `tcp://` is KubeEdge's spelling of the same.
pub(super) fn address(url: &str) -> Result<(String, u16), BridgeError> {
    let wrong = || BridgeError::Url { url: url.chars().take(200).collect() };
    let rest = url.strip_prefix("mqtt://").or_else(|| url.strip_prefix("tcp://")).ok_or_else(wrong)?;
    let rest = rest.strip_suffix('/').unwrap_or(rest);
    let (host, port) = match rest.rsplit_once(':') {
        // The colons of a bare IPv6 address in brackets are not the port's.
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
        _ => (rest, 1883),
    };
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    if host.is_empty() || host.contains(['/', '@', '?', '[', ']']) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

pub(super) fn check(config: &BridgeConfig) -> Result<(), BridgeError> {
    if let Some(filter) = config.subscriptions.iter().find(|filter| !topic::is_filter(filter)) {
        return Err(BridgeError::Filter { filter: filter.chars().take(200).collect() });
    }
    let credentials =
        config.credentials.iter().flat_map(|known| [known.username.len(), known.password.len()]);
    for (setting, right, wanted) in [
        ("client_id", (1..=1024).contains(&config.client_id.len()), "1 to 1024 bytes"),
        ("credentials", credentials.max().unwrap_or(0) <= usize::from(u16::MAX), "at most 65535 bytes each"),
        ("keep_alive", (1..=65_535).contains(&config.keep_alive.as_secs()), "1 to 65535 seconds"),
        ("max_packet", (1_024..=268_435_460).contains(&config.max_packet), "1024 to 268435460 bytes"),
        ("queue", config.queue > 0, "at least 1"),
        ("receive_window", config.receive_window > 0, "at least 1"),
        ("send_window", (1..=1_000).contains(&config.send_window), "1 to 1000"),
        ("subscriptions", config.subscriptions.len() <= 1_000, "at most 1000 filters"),
    ] {
        if !right {
            return Err(BridgeError::Setting { setting, wanted });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_have_a_scheme_a_host_and_perhaps_a_port() {
        for (url, host, port) in [
            ("mqtt://127.0.0.1:1884", "127.0.0.1", 1884),
            ("tcp://127.0.0.1:1883", "127.0.0.1", 1883),
            ("mqtt://broker/", "broker", 1883),
            ("mqtt://[::1]:1", "::1", 1),
            ("mqtt://[::1]", "::1", 1883),
        ] {
            assert_eq!(address(url), Ok((host.to_owned(), port)), "{url}");
        }
        for url in [
            "",
            "127.0.0.1:1883",
            "mqtts://a",
            "mqtt://",
            "mqtt://:1",
            "mqtt://a:b",
            "mqtt://a:99999",
            "mqtt://u@h",
        ] {
            assert!(address(url).is_err(), "{url}");
        }
    }
}
