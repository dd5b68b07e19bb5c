//! The TLS listener: bounded connections, identities from client certificates, an end without cut requests.

use std::{sync::Arc, time::Duration};

use axum::Router;
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time,
};
use tokio_rustls::{TlsAcceptor, rustls::pki_types::CertificateDer};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::{auth::Identity, impatient::Impatient, metric_definitions as names};

/// Most connections at a time.
const MAX_CONNECTIONS: usize = 1024;
/// Longest TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time until the headers of a request are complete.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest time that a client may take nothing of what is written to it; a client that has gone silent frees its place.
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long connections may go on after the stop; watches are cut then.
const GRACE: Duration = Duration::from_secs(5);
/// Pause after the listener could not accept, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `router` over TLS until `stop`, then lets requests end for a few seconds and returns.
///
/// `tls` decides which client certificates are accepted; a verified one becomes the request's [`Identity`]. Only HTTP/1.1
/// is spoken, so `tls` must not offer another protocol.
pub async fn serve(
    listener: TcpListener,
    tls: rustls::ServerConfig,
    router: Router,
    stop: CancellationToken,
) {
    let acceptor = TlsAcceptor::from(Arc::new(tls));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => "full").increment(1);
            continue;
        };
        connections.spawn(connection(stream, place, acceptor.clone(), router.clone(), stop.clone()));
    }
    drop(listener);
    connections.close();
    if time::timeout(GRACE, connections.wait()).await.is_err() {
        tracing::info!(connections = connections.len(), "connections cut at the end of the grace period");
    }
}

async fn connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    acceptor: TlsAcceptor,
    router: Router,
    stop: CancellationToken,
) {
    metrics::gauge!(names::CONNECTIONS).increment(1.0);
    talk(stream, acceptor, router, stop).await;
    metrics::gauge!(names::CONNECTIONS).decrement(1.0);
    drop(place);
}

async fn talk(stream: TcpStream, acceptor: TlsAcceptor, router: Router, stop: CancellationToken) {
    let refused =
        |reason: &'static str| metrics::counter!(names::CONNECTIONS_REFUSED, "reason" => reason).increment(1);
    // Small events of watches must not wait for more.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "connection is gone");
        return;
    }
    let stream = match time::timeout(
        HANDSHAKE_TIMEOUT,
        acceptor.accept(Impatient::new(stream, WRITE_TIMEOUT)),
    )
    .await
    {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => {
            tracing::debug!(%error, "handshake failed");
            return refused("handshake");
        }
        Err(_) => return refused("timeout"),
    };
    let certificates = stream.get_ref().1.peer_certificates();
    let identity = certificates.and_then(|chain| chain.first()).and_then(identity);
    let service = service_fn(move |mut request: hyper::Request<Incoming>| {
        if let Some(identity) = &identity {
            request.extensions_mut().insert(identity.clone());
        }
        router.clone().oneshot(request.map(axum::body::Body::new))
    });
    let mut http = hyper::server::conn::http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEADER_TIMEOUT);
    let connection = http.serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        result = connection.as_mut() => {
            if let Err(error) = result {
                tracing::debug!(%error, "connection ended");
            }
            return;
        }
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    // What is left are requests under way; watches end with the grace period.
    if time::timeout(GRACE, connection).await.is_err() {
        tracing::debug!("connection cut at the end of the grace period");
    }
}

/// Common name → user, organizations → groups. `None` for a certificate without a common name.
fn identity(certificate: &CertificateDer<'_>) -> Option<Identity> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let subject = certificate.subject();
    let user = subject.iter_common_name().next()?.as_str().ok()?.to_owned();
    let groups =
        subject.iter_organization().filter_map(|name| name.as_str().ok()).map(str::to_owned).collect();
    Some(Identity { user, groups })
}
