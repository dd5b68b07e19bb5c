//! One POST over TLS, with a bounded answer: all that joining and renewing need of HTTP.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Request;
use hyper::header::{CONTENT_TYPE, HOST};
use hyper_util::rt::TokioIo;
use ledge_pki::{MAX_JOIN_BODY, PkiError, server_name};
use serde::Serialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::address::HostPort;

/// For the whole exchange.
const PATIENCE: Duration = Duration::from_secs(30);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// No TCP connection.
    #[error(
        "{address} cannot be reached: {source}. Is ledge-cloud running there, and is its join port open?"
    )]
    Unreachable {
        /// Where to.
        address: HostPort,
        /// The system's error.
        source: std::io::Error,
    },
    /// No TLS: the server is not the one that was meant.
    #[error("{address} is not the cloud that was meant: {source}")]
    Tls {
        /// Where to.
        address: HostPort,
        /// What is wrong with it.
        source: std::io::Error,
    },
    /// Connected, but no answer that could be read.
    #[error("{address} did not answer as a join listener does: {reason}")]
    Exchange {
        /// Where to.
        address: HostPort,
        /// What happened instead.
        reason: String,
    },
    /// Too slow.
    #[error("{address} did not answer within {PATIENCE:?}")]
    TimedOut {
        /// Where to.
        address: HostPort,
    },
    /// The address cannot stand in a certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

/// Posts JSON; gives status and body.
///
/// # Errors
/// [`HttpError`].
pub(crate) async fn post(
    address: &HostPort,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    body: &impl Serialize,
) -> Result<(u16, Bytes), HttpError> {
    let exchange = |reason: String| HttpError::Exchange { address: address.clone(), reason };
    let body = serde_json::to_vec(body).map_err(|error| exchange(error.to_string()))?;
    match tokio::time::timeout(PATIENCE, attempt(address, tls, path, body)).await {
        Ok(answer) => answer,
        Err(_) => Err(HttpError::TimedOut { address: address.clone() }),
    }
}

async fn attempt(
    address: &HostPort,
    tls: Arc<rustls::ClientConfig>,
    path: &str,
    body: Vec<u8>,
) -> Result<(u16, Bytes), HttpError> {
    let exchange = |reason: String| HttpError::Exchange { address: address.clone(), reason };
    let name = server_name(&address.host)?;
    let tcp = TcpStream::connect((address.host.as_str(), address.port)).await;
    let tcp = tcp.map_err(|source| HttpError::Unreachable { address: address.clone(), source })?;
    let tls = TlsConnector::from(tls).connect(name, tcp).await;
    let tls = tls.map_err(|source| HttpError::Tls { address: address.clone(), source })?;
    let (mut requests, connection) = hyper::client::conn::http1::handshake(TokioIo::new(tls))
        .await
        .map_err(|error| exchange(error.to_string()))?;
    let request = Request::post(path)
        .header(HOST, address.to_string())
        .header(CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(body)))
        .map_err(|error| exchange(error.to_string()))?;
    let answer = async {
        let response = requests.send_request(request).await.map_err(|error| exchange(error.to_string()))?;
        let status = response.status().as_u16();
        let body = Limited::new(response.into_body(), MAX_JOIN_BODY).collect().await;
        Ok((status, body.map_err(|error| exchange(error.to_string()))?.to_bytes()))
    };
    tokio::pin!(connection, answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        // A connection that ended has delivered all it will.
        _ = &mut connection => answer.await,
    }
}
