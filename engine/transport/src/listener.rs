//! The hub's side: many handshakes at once, none of which can hold up another.
#![expect(clippy::result_large_err, reason = "the type of a refused upgrade is tungstenite's")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use ledge_pki::PeerIdentity;
use rustls::ServerConfig;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::{TlsAcceptor, TlsStream};
use tokio_tungstenite::accept_hdr_async_with_config;
use tokio_tungstenite::tungstenite::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::header::{CONNECTION, CONTENT_LENGTH, HeaderValue, RETRY_AFTER};

use crate::admission::Verdict;
use crate::config::{ListenerConfig, websocket_config};
use crate::connect::REASON_HEADER;
use crate::link::Link;
use crate::metric_definitions::count_handshake;
use crate::socket;

/// Links that wait for [`Listener::accept`].
const ACCEPTED: usize = 64;
/// Pause after an error of `accept`, which usually is a lack of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);
/// How long, and for how many bytes, a client that failed TLS may go on writing.
const LINGER: Duration = Duration::from_millis(500);
const LINGER_BYTES: u64 = 64 * 1024;

/// The listener could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{address} cannot be listened on: {source}; is another process there?")]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// A node that connected.
#[derive(Debug)]
pub struct Accepted {
    /// Its link.
    pub link: Link,
    /// Who it is, by its certificate. Whether it may have two links at once is for the session to say.
    pub peer: PeerIdentity,
    /// Where from.
    pub address: SocketAddr,
}

/// Accepts nodes. Dropping it closes the port and abandons handshakes; links go on.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    accepted: mpsc::Receiver<Accepted>,
    // Aborted with the listener.
    _accepting: JoinSet<()>,
}

impl Listener {
    /// Opens `address` (port 0 for a free one) and begins to accept, on the current tokio runtime.
    /// `tls` must demand client certificates (`ledge_pki::hub_server_config`).
    ///
    /// # Errors
    /// [`BindError`].
    pub async fn bind(
        address: SocketAddr,
        tls: Arc<ServerConfig>,
        config: ListenerConfig,
    ) -> Result<Self, BindError> {
        let bind_error = |source| BindError { address, source };
        let socket = TcpListener::bind(address).await.map_err(bind_error)?;
        let address = socket.local_addr().map_err(bind_error)?;
        let (sender, accepted) = mpsc::channel(ACCEPTED);
        let handshakes = config.max_handshakes.clamp(1, Semaphore::MAX_PERMITS);
        let links = config.max_links.min(Semaphore::MAX_PERMITS);
        let shared = Shared {
            tls: TlsAcceptor::from(tls),
            handshakes: Arc::new(Semaphore::new(handshakes)),
            links: Arc::new(Semaphore::new(links)),
            max_links: links,
            config,
            accepted: sender,
        };
        let mut accepting = JoinSet::new();
        accepting.spawn(accept_all(socket, Arc::new(shared)));
        Ok(Self { address, accepted, _accepting: accepting })
    }

    /// The address listened on.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The next node that passed TLS, admission and upgrade; `None` only if accepting has failed for
    /// good. Cancel-safe.
    pub async fn accept(&mut self) -> Option<Accepted> {
        self.accepted.recv().await
    }
}

struct Shared {
    tls: TlsAcceptor,
    config: ListenerConfig,
    handshakes: Arc<Semaphore>,
    links: Arc<Semaphore>,
    max_links: usize,
    accepted: mpsc::Sender<Accepted>,
}

async fn accept_all(socket: TcpListener, shared: Arc<Shared>) {
    let mut running = JoinSet::new();
    loop {
        while running.try_join_next().is_some() {}
        let Ok(place) = Arc::clone(&shared.handshakes).acquire_owned().await else {
            return;
        };
        match socket.accept().await {
            Ok((stream, address)) => {
                running.spawn(greet(stream, address, Arc::clone(&shared), place));
            }
            Err(error) => {
                tracing::warn!(%error, "no connection accepted");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// One handshake, to whatever end; `place` is held until then.
async fn greet(stream: TcpStream, address: SocketAddr, shared: Arc<Shared>, place: OwnedSemaphorePermit) {
    let outcome = match timeout(shared.config.handshake_timeout, handshake(stream, address, &shared)).await {
        Ok(Ok(accepted)) => {
            // Counted before it is handed over, so that whoever got the link finds it counted.
            count_handshake("accepted");
            drop(place);
            // The listener may be gone by now; then the link goes too.
            let _ = shared.accepted.send(accepted).await;
            return;
        }
        Ok(Err(failure)) => failure,
        Err(_) => Failure { outcome: "timed_out", reason: String::new() },
    };
    count_handshake(outcome.outcome);
    tracing::debug!(%address, outcome = outcome.outcome, reason = %outcome.reason, "handshake failed");
}

struct Failure {
    outcome: &'static str,
    reason: String,
}

async fn handshake(stream: TcpStream, address: SocketAddr, shared: &Shared) -> Result<Accepted, Failure> {
    let failure =
        |outcome| move |error: &dyn std::fmt::Display| Failure { outcome, reason: error.to_string() };
    let config = &shared.config;
    socket::configure(&stream, config.link.idle_timeout).map_err(|error| failure("tls_failed")(&error))?;
    let tls = match shared.tls.accept(stream).into_fallible().await {
        Ok(tls) => tls,
        Err((error, stream)) => {
            linger(stream).await;
            return Err(failure("tls_failed")(&error));
        }
    };
    let peer = PeerIdentity::from_chain(tls.get_ref().1.peer_certificates());
    let place = Arc::clone(&shared.links).try_acquire_owned();
    let live = shared.max_links - shared.links.available_permits();
    let verdict = match (&peer, &place) {
        (Err(error), _) => Verdict::Refuse(error.to_string()),
        (Ok(_), Err(_)) => Verdict::RetryAfter(config.busy_retry_after),
        (Ok(peer), Ok(_)) => config.admission.admit(peer, live.saturating_sub(1)),
    };
    let outcome = match &verdict {
        Verdict::Refuse(_) if peer.is_err() => "not_a_node",
        Verdict::Refuse(_) => "refused",
        Verdict::RetryAfter(_) => "busy",
        Verdict::Admit => "upgrade_failed",
    };
    let callback = |request: &Request, response| answer(&config.path, &verdict, request, response);
    let upgrade = accept_hdr_async_with_config(TlsStream::Server(tls), callback, Some(websocket_config()));
    let socket = match upgrade.await {
        Ok(socket) => socket,
        Err(WsError::Http(answer)) => return Err(failure(outcome)(&answer.status())),
        Err(error) => return Err(failure("upgrade_failed")(&error)),
    };
    // A verdict other than `Admit` ended in an HTTP answer above.
    let peer = peer.map_err(|error| failure("not_a_node")(&error))?;
    let place = place.map_err(|error| failure("busy")(&error))?;
    Ok(Accepted { link: Link::start(socket, &config.link, Some(place)), peer, address })
}

/// The HTTP answer: the upgrade, or why not.
fn answer(
    path: &str,
    verdict: &Verdict,
    request: &Request,
    response: Response,
) -> Result<Response, ErrorResponse> {
    let (status, reason, retry_after) = match verdict {
        _ if request.uri().path() != path => (404, format!("nothing here; hubs serve {path}"), None),
        Verdict::Admit => return Ok(response),
        Verdict::RetryAfter(after) => (503, "come back later".to_owned(), Some(*after)),
        Verdict::Refuse(reason) => (403, reason.clone(), None),
    };
    let mut answer = ErrorResponse::new(None);
    *answer.status_mut() = status.try_into().unwrap_or_default();
    let headers = answer.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    if let Ok(reason) = HeaderValue::try_from(printable(&reason)) {
        headers.insert(REASON_HEADER, reason);
    }
    if let Some(Ok(after)) =
        retry_after.map(|after| HeaderValue::try_from(format!("{:.3}", after.as_secs_f64())))
    {
        headers.insert(RETRY_AFTER, after);
    }
    Err(answer)
}

/// What of a reason fits into a header.
fn printable(reason: &str) -> String {
    reason.chars().take(1000).map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// Reads on for a moment after TLS failed. A client of TLS 1.3 has sent its request by then; closing with
/// that unread would reset the connection, and the alert that says what is wrong would be lost with it.
async fn linger(mut stream: TcpStream) {
    let _ = stream.shutdown().await;
    let read_on = async { tokio::io::copy(&mut stream.take(LINGER_BYTES), &mut tokio::io::sink()).await };
    let _ = timeout(LINGER, read_on).await;
}
