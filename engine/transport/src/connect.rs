//! The client's side: TCP, TLS, upgrade, each with its own time limit and its own kind of failure.

use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{AlertDescription, ClientConfig};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::{TlsConnector, TlsStream};
use tokio_tungstenite::client_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::http::header::{HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::config::{HUB_PATH, LinkConfig, websocket_config};
use crate::link::Link;
use crate::metric_definitions::count_connect;
use crate::socket;

/// Header in which a listener says why it refuses.
pub(crate) const REASON_HEADER: &str = "x-ledge-reason";
/// Longer waits than this are not believed.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3600);
/// What a node waits when told to come later without a time.
const DEFAULT_RETRY_AFTER: Duration = Duration::from_secs(5);

/// Where to connect to.
#[derive(Clone, Debug)]
pub struct ConnectTarget {
    /// Host name or address to dial.
    pub host: String,
    /// Port to dial.
    pub port: u16,
    /// Name the server's certificate must have; see `ledge_pki::server_name`.
    pub server_name: ServerName<'static>,
    /// Path of the upgrade request, beginning with `/`. Usually [`HUB_PATH`].
    pub path: String,
    /// Further headers of the upgrade request.
    pub headers: Vec<(String, String)>,
}

impl ConnectTarget {
    /// A hub at `host` (name, IPv4, or IPv6 also in brackets), under [`HUB_PATH`], verified by that name.
    ///
    /// # Errors
    /// `host` is neither a host name nor an address.
    pub fn hub(host: &str, port: u16) -> Result<Self, ledge_pki::PkiError> {
        let server_name = ledge_pki::server_name(host)?;
        let host = server_name.to_str().into_owned();
        Ok(Self { host, port, server_name, path: HUB_PATH.to_owned(), headers: Vec::new() })
    }
}

/// Stages of a connection attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Name resolution and TCP.
    Tcp,
    /// TLS handshake.
    Tls,
    /// WebSocket upgrade.
    Upgrade,
}

impl std::fmt::Display for Stage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Tcp => "connecting by TCP",
            Self::Tls => "the TLS handshake",
            Self::Upgrade => "the WebSocket upgrade",
        })
    }
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// No TCP connection.
    #[error("{host}:{port} cannot be reached: {source}")]
    Unreachable {
        /// Host dialled.
        host: String,
        /// Port dialled.
        port: u16,
        /// The system's error.
        source: std::io::Error,
    },
    /// A stage took too long.
    #[error("{stage} took longer than {after:?}")]
    TimedOut {
        /// Which.
        stage: Stage,
        /// Its time limit.
        after: Duration,
    },
    /// The server's certificate is not from our CA, not for this name, or not valid now.
    #[error(
        "the server's certificate was not accepted: {reason}. Check the address, this machine's clock, \
         and that this node joined this cloud"
    )]
    ServerNotTrusted {
        /// rustls' words.
        reason: String,
    },
    /// The server did not accept this node's certificate.
    #[error("the server refused this node's certificate ({alert:?}); join again with `ledge-edge join`")]
    CertificateRefused {
        /// The TLS alert.
        alert: AlertDescription,
    },
    /// TLS failed otherwise.
    #[error("TLS failed: {0}")]
    Tls(String),
    /// The hub asks to come back later.
    #[error("the hub asks to come back in {0:?}")]
    RetryAfter(Duration),
    /// The hub refuses this node; the same attempt will be refused again.
    #[error("the hub refused this node (HTTP {status}): {reason}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// The hub's words.
        reason: String,
    },
    /// What answered does not speak this protocol, or the connection broke during the upgrade.
    #[error("no WebSocket: {0}")]
    Upgrade(String),
    /// A path or header that HTTP cannot carry.
    #[error("the upgrade request cannot be made: {0}")]
    Request(String),
}

impl ConnectError {
    /// How long the hub asked to wait, if it did.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::RetryAfter(after) => Some(*after),
            _ => None,
        }
    }
}

/// Connects to a hub. The link's writer task runs on the current tokio runtime.
///
/// # Errors
/// [`ConnectError`]; all but [`ConnectError::Request`] may pass with time.
pub async fn connect(
    target: &ConnectTarget,
    tls: Arc<ClientConfig>,
    config: &LinkConfig,
) -> Result<Link, ConnectError> {
    let outcome = attempt(target, tls, config).await;
    count_connect(match &outcome {
        Ok(_) => "connected",
        Err(ConnectError::RetryAfter(_)) => "retry_after",
        Err(ConnectError::Refused { .. } | ConnectError::CertificateRefused { .. }) => "refused",
        Err(_) => "failed",
    });
    outcome
}

async fn attempt(
    target: &ConnectTarget,
    tls: Arc<ClientConfig>,
    config: &LinkConfig,
) -> Result<Link, ConnectError> {
    let request = upgrade_request(target)?;
    let timed_out = |stage, after| move |_| ConnectError::TimedOut { stage, after };
    let unreachable =
        |source| ConnectError::Unreachable { host: target.host.clone(), port: target.port, source };

    let tcp = timeout(config.tcp_timeout, TcpStream::connect((target.host.as_str(), target.port)));
    let tcp = tcp.await.map_err(timed_out(Stage::Tcp, config.tcp_timeout))?.map_err(unreachable)?;
    socket::configure(&tcp, config.idle_timeout).map_err(unreachable)?;

    let tls = timeout(config.tls_timeout, TlsConnector::from(tls).connect(target.server_name.clone(), tcp));
    let tls = tls.await.map_err(timed_out(Stage::Tls, config.tls_timeout))?;
    let tls = TlsStream::Client(
        tls.map_err(|error| tls_error(&error).unwrap_or(ConnectError::Tls(error.to_string())))?,
    );

    let upgrade = client_async_with_config(request, tls, Some(websocket_config()));
    let upgrade = timeout(config.upgrade_timeout, upgrade).await;
    let upgrade = upgrade.map_err(timed_out(Stage::Upgrade, config.upgrade_timeout))?;
    let (socket, _) = upgrade.map_err(upgrade_error)?;
    Ok(Link::start(socket, config, None))
}

fn upgrade_request(
    target: &ConnectTarget,
) -> Result<tokio_tungstenite::tungstenite::handshake::client::Request, ConnectError> {
    let request_error = |error: &dyn std::fmt::Display| ConnectError::Request(error.to_string());
    let host = if target.host.contains(':') { format!("[{}]", target.host) } else { target.host.clone() };
    let address = format!("wss://{host}:{}{}", target.port, target.path);
    let mut request = address.into_client_request().map_err(|error| request_error(&error))?;
    for (name, value) in &target.headers {
        let name = HeaderName::try_from(name).map_err(|error| request_error(&error))?;
        let value = HeaderValue::try_from(value).map_err(|error| request_error(&error))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// The rustls error inside an I/O error, by kind. With TLS 1.3 the server's opinion of our certificate
/// arrives only with the first read after the handshake.
fn tls_error(error: &std::io::Error) -> Option<ConnectError> {
    Some(match error.get_ref()?.downcast_ref::<rustls::Error>()? {
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied
            | AlertDescription::DecryptError => ConnectError::CertificateRefused { alert: *alert },
            other => ConnectError::Tls(format!("the server sent the alert {other:?}")),
        },
        rustls::Error::InvalidCertificate(reason) => {
            ConnectError::ServerNotTrusted { reason: reason.to_string() }
        }
        other => ConnectError::Tls(other.to_string()),
    })
}

fn upgrade_error(error: WsError) -> ConnectError {
    match error {
        WsError::Io(error) => tls_error(&error).unwrap_or_else(|| ConnectError::Upgrade(error.to_string())),
        WsError::Http(response) => {
            let (status, headers) = (response.status().as_u16(), response.headers());
            if matches!(status, 429 | 503) {
                return ConnectError::RetryAfter(retry_after(headers));
            }
            let reason = headers.get(REASON_HEADER).map(|reason| reason.to_str().unwrap_or("unreadable"));
            ConnectError::Refused { status, reason: reason.unwrap_or("no reason given").to_owned() }
        }
        other => ConnectError::Upgrade(other.to_string()),
    }
}

/// Seconds, possibly with a fraction: our own listeners use fractions.
fn retry_after(headers: &HeaderMap) -> Duration {
    let seconds = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
    seconds
        .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
        .map_or(DEFAULT_RETRY_AFTER, |after| after.min(LONGEST_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn retry_after_is_read_and_held_to_an_hour() {
        for (value, expected) in [
            ("3", Duration::from_secs(3)),
            ("0.25", Duration::from_millis(250)),
            ("-1", DEFAULT_RETRY_AFTER),
            ("1e300", DEFAULT_RETRY_AFTER),
            ("NaN", DEFAULT_RETRY_AFTER),
            ("86400", LONGEST_RETRY_AFTER),
            ("Wed, 21 Oct 2026 07:28:00 GMT", DEFAULT_RETRY_AFTER),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers), expected, "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new()), DEFAULT_RETRY_AFTER);
    }

    #[test]
    fn addresses_of_all_kinds_make_a_request() {
        for (host, expected) in
            [("hub.example", "hub.example:1"), ("127.0.0.1", "127.0.0.1:1"), ("[::1]", "[::1]:1")]
        {
            let request = upgrade_request(&ConnectTarget::hub(host, 1).unwrap()).unwrap();
            assert_eq!(request.headers()["host"], expected);
            assert_eq!(request.uri().path(), HUB_PATH);
        }
        assert!(ConnectTarget::hub("no host", 1).is_err());
    }

    #[test]
    fn headers_that_http_cannot_carry_are_refused() {
        let mut target = ConnectTarget::hub("hub.example", 1).unwrap();
        target.headers = vec![("x".to_owned(), "a\r\nb: c".to_owned())];
        assert!(matches!(upgrade_request(&target), Err(ConnectError::Request(_))));
    }
}
