//! The listener: small, bounded, and without a route that changes anything.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::CONTENT_TYPE;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::counter;
use metrics_exporter_prometheus::{BuildError, PrometheusHandle};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};
use tokio_util::sync::CancellationToken;

use super::metric_definitions::SCRAPES;
use super::{Health, process};

/// Connections at once; more wait in the kernel's queue.
const MAX_CONNECTIONS: usize = 32;
/// Time for a request's head to arrive.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest life of a connection; a scraper opens the next.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(300);
/// Bytes of one connection's read buffer, and so the longest head.
const BUFFER: usize = 16 * 1024;
/// Histograms collect samples until somebody drains them; a process that nobody scrapes must not grow.
const UPKEEP: Duration = Duration::from_secs(5);
/// Pause after accept fails, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// Why metrics cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// Another recorder is installed.
    #[error("metrics cannot be recorded: {source}")]
    Recorder {
        /// Why.
        source: BuildError,
    },
    /// The address is taken or not ours.
    #[error(
        "cannot serve metrics on {address}: {source}; pass another --metrics-listen (port 0 picks a free one)"
    )]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// A bound listener that serves nobody until [`MetricsServer::run`].
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
    handle: PrometheusHandle,
    health: Health,
}

impl MetricsServer {
    /// Binds; port 0 picks a free port. Get the handle from [`super::install`].
    pub async fn bind(
        address: SocketAddr,
        handle: PrometheusHandle,
        health: Health,
    ) -> Result<Self, MetricsError> {
        let failed = |source| MetricsError::Bind { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address: bound, handle, health })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop; open connections are then cut, for a scrape has nothing to lose.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let mut upkeep = interval(UPKEEP);
        loop {
            let slot = Arc::clone(&slots).acquire_owned();
            let accepted = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                _ = upkeep.tick() => {
                    self.handle.run_upkeep();
                    continue;
                }
                accepted = async { (slot.await, self.listener.accept().await) } => accepted,
            };
            match accepted {
                (Ok(slot), Ok((stream, _))) => {
                    let (handle, health, stop) = (self.handle.clone(), self.health.clone(), stop.clone());
                    tokio::spawn(async move {
                        let _slot = slot;
                        tokio::select! {
                            () = stop.cancelled() => {}
                            () = serve(stream, handle, health) => {}
                        }
                    });
                }
                (_, Err(error)) => {
                    tracing::warn!(%error, "metrics listener cannot accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
                (Err(_closed), _) => return Ok(()),
            }
        }
    }
}

/// A scraper that misbehaves is only its own problem: what goes wrong here is not even logged above debug.
async fn serve(stream: TcpStream, handle: PrometheusHandle, health: Health) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = answer(request.method(), request.uri().path(), &handle, &health);
        counter!(SCRAPES, "status" => response.status().as_str().to_owned()).increment(1);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(BUFFER)
        .serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = timeout(CONNECTION_TIMEOUT, connection).await {
        tracing::debug!(%error, "metrics connection ended");
    }
}

fn answer(method: &Method, path: &str, handle: &PrometheusHandle, health: &Health) -> Response<String> {
    let (status, body) = match (path, method) {
        ("/metrics", &Method::GET) => {
            process::refresh();
            (StatusCode::OK, handle.render())
        }
        ("/healthz", &Method::GET) => match health.check() {
            Ok(()) => (StatusCode::OK, "ok\n".to_owned()),
            Err(problems) => (StatusCode::SERVICE_UNAVAILABLE, problems),
        },
        ("/metrics" | "/healthz", _) => (StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned()),
        _ => (StatusCode::NOT_FOUND, "there is /metrics and /healthz\n".to_owned()),
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let text = hyper::header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, text);
    response
}
