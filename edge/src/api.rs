//! The local API: `/healthz` and `/version`, which need no credentials. Everything else comes with them.

use std::io;
use std::net::SocketAddr;

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

/// The local API cannot be served.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot serve the local API on {address}: {source}; pass another --api-listen (port 0 picks a free one)"
)]
pub struct ApiError {
    address: SocketAddr,
    source: io::Error,
}

/// Bound, and not serving yet.
#[derive(Debug)]
pub struct Api {
    listener: TcpListener,
    address: SocketAddr,
}

impl Api {
    /// Binds; port 0 picks a free port.
    ///
    /// # Errors
    /// [`ApiError`].
    pub async fn bind(address: SocketAddr) -> Result<Self, ApiError> {
        let failed = |source| ApiError { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until told to stop.
    ///
    /// # Errors
    /// Accepting has failed for good.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let routes = Router::new().route("/healthz", get(async || "ok")).route("/version", get(version));
        axum::serve(self.listener, routes).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

async fn version() -> Json<Value> {
    Json(json!({"name": "ledge-edge", "version": env!("CARGO_PKG_VERSION")}))
}
