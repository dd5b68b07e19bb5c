//! rustls configurations: one per kind of listener and client. TLS 1.3 preferred, 1.2 allowed; ring,
//! named explicitly, so that no process-wide default is needed or disturbed.

mod client;
mod hash_verifier;
mod server;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, SupportedProtocolVersion};

pub use client::{join_client_config, node_client_config, server_name};
pub use server::{ServerIdentity, api_server_config, hub_server_config, join_server_config};

use crate::UnixSeconds;
use crate::error::PkiError;

const VERSIONS: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13, &rustls::version::TLS12];
const HTTP_1: &[u8] = b"http/1.1";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn only_root(ca: &CertificateDer<'_>) -> Result<Arc<RootCertStore>, PkiError> {
    let mut roots = RootCertStore::empty();
    roots.add(ca.clone().into_owned())?;
    Ok(Arc::new(roots))
}

fn client_verifier(ca: &CertificateDer<'_>, optional: bool) -> Result<Arc<dyn ClientCertVerifier>, PkiError> {
    let builder = WebPkiClientVerifier::builder_with_provider(only_root(ca)?, provider());
    Ok(if optional { builder.allow_unauthenticated().build()? } else { builder.build()? })
}

/// Checks that `certificate` is a client certificate signed by `ca` and valid at `now`.
pub(crate) fn verify_issued_by(
    certificate: &CertificateDer<'_>,
    ca: &CertificateDer<'_>,
    now: UnixSeconds,
) -> Result<(), PkiError> {
    let now = UnixTime::since_unix_epoch(std::time::Duration::from_secs(now.max(0).unsigned_abs()));
    client_verifier(ca, false)?
        .verify_client_cert(certificate, &[], now)
        .map(|_| ())
        .map_err(PkiError::certificate)
}
