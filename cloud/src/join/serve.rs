//! HTTP over TLS for joining: few connections, short requests, nothing kept.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Extension, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use ledge_pki::{JoinError, JoinErrorCode, MAX_JOIN_BODY, PeerIdentity};
use serde::Serialize;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use super::Issuer;
use crate::controllers::Budget;
use crate::metric_definitions as names;

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 128;
/// Requests a second, and at once after a rest.
const REQUESTS: (u32, u32) = (200, 400);
/// For a TLS handshake, and for the head of a request.
const STEP: Duration = Duration::from_secs(10);
/// For a whole connection.
const CONNECTION: Duration = Duration::from_secs(60);
/// Pause after accept fails, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

#[derive(Clone)]
struct App {
    issuer: Issuer,
    budget: Arc<Budget>,
}

/// Serves until told to stop.
pub async fn run(
    listener: TcpListener,
    tls: Arc<rustls::ServerConfig>,
    issuer: Issuer,
    stop: CancellationToken,
) -> Result<(), Infallible> {
    let (acceptor, slots) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    let app = App { issuer, budget: Arc::new(Budget::new(REQUESTS.0, REQUESTS.1)) };
    let router = Router::new()
        .route("/v1/join", post(join))
        .route("/v1/renew", post(renew))
        .layer(DefaultBodyLimit::max(MAX_JOIN_BODY))
        .with_state(app);
    loop {
        let Ok(slot) = Arc::clone(&slots).acquire_owned().await else { return Ok(()) };
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => return Ok(()),
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                let talk = talk(stream, slot, acceptor.clone(), router.clone());
                let stop = stop.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = stop.cancelled() => {}
                        _ = timeout(CONNECTION, talk) => {}
                    }
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the join listener cannot accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn talk(stream: TcpStream, slot: OwnedSemaphorePermit, acceptor: TlsAcceptor, router: Router) {
    let _slot = slot;
    let stream = match timeout(STEP, acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "handshake failed"),
        Err(_) => return tracing::debug!("handshake took too long"),
    };
    let peer = PeerIdentity::from_chain(stream.get_ref().1.peer_certificates()).ok();
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(STEP);
    if let Err(error) = http.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(%error, "connection ended");
    }
}

async fn join(State(app): State<App>, body: Bytes) -> Response {
    answer(match busy(&app) {
        Some(busy) => Err(busy),
        None => app.issuer.join(&body).await,
    })
}

async fn renew(
    State(app): State<App>,
    Extension(peer): Extension<Option<PeerIdentity>>,
    body: Bytes,
) -> Response {
    let unknown =
        || JoinError::new(JoinErrorCode::Certificate, "renewing needs the node's certificate in TLS");
    answer(match (busy(&app), peer) {
        (Some(busy), _) => Err(busy),
        (None, None) => Err(unknown()),
        (None, Some(peer)) => app.issuer.renew(&peer, &body).await,
    })
}

fn busy(app: &App) -> Option<JoinError> {
    let wait = app.budget.try_take().err()?;
    Some(JoinError::new(
        JoinErrorCode::Busy,
        format!("too many requests; try again in {} ms", wait.as_millis().max(1)),
    ))
}

fn answer<T: Serialize>(result: Result<T, JoinError>) -> Response {
    let outcome = match &result {
        Ok(_) => "ok".to_owned(),
        Err(error) => serde_json::to_value(error.code)
            .ok()
            .and_then(|v| Some(v.as_str()?.to_owned()))
            .unwrap_or_default(),
    };
    metrics::counter!(names::JOINS, "outcome" => outcome).increment(1);
    let retry =
        |error: &JoinError| error.retryable().then(|| (header::RETRY_AFTER, HeaderValue::from_static("1")));
    let (status, body, retry): (_, _, Option<(HeaderName, HeaderValue)>) = match &result {
        Ok(value) => (StatusCode::OK, serde_json::to_vec(value), None),
        Err(error) => {
            tracing::info!(code = ?error.code, error = %error, "a join was refused");
            let status = StatusCode::from_u16(error.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, serde_json::to_vec(error), retry(error))
        }
    };
    let headers = [(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    let mut response = (status, headers, body.unwrap_or_default()).into_response();
    response.headers_mut().extend(retry);
    response
}
