//! Listeners of the cloud.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::ServerConfig;
use rustls::pki_types::CertificateDer;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{ClientHello, NoClientAuth, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use super::{HTTP_1, VERSIONS, client_verifier, provider};
use crate::UnixSeconds;
use crate::authority::CertificateAuthority;
use crate::error::PkiError;

/// The certificate that the cloud's listeners show, with the CA's behind it. Shared by all configurations
/// made from it, and replaced under them by [`ServerIdentity::renew`] without a restart.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    current: Arc<Current>,
    sans: Arc<[String]>,
}

#[derive(Debug)]
struct Current(RwLock<Arc<CertifiedKey>>);

impl ResolvesServerCert for Current {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner)))
    }
}

impl ServerIdentity {
    /// Issues a certificate for `sans`: host names and addresses the cloud is reached under.
    ///
    /// # Errors
    /// As [`CertificateAuthority::issue_server`].
    pub fn issue(
        authority: &CertificateAuthority,
        sans: &[String],
        now: UnixSeconds,
    ) -> Result<Self, PkiError> {
        let current = Arc::new(Current(RwLock::new(certified(authority, sans, now)?)));
        Ok(Self { current, sans: sans.into() })
    }

    /// Replaces the certificate by a new one for the same names, for handshakes from now on. Call it
    /// when [`crate::renew_at`] says so: a server certificate is valid 365 days.
    ///
    /// # Errors
    /// As [`CertificateAuthority::issue_server`].
    pub fn renew(&self, authority: &CertificateAuthority, now: UnixSeconds) -> Result<(), PkiError> {
        let renewed = certified(authority, &self.sans, now)?;
        *self.current.0.write().unwrap_or_else(PoisonError::into_inner) = renewed;
        Ok(())
    }

    /// The certificate shown now.
    #[must_use]
    pub fn certificate(&self) -> Option<CertificateDer<'static>> {
        let current = self.current.0.read().unwrap_or_else(PoisonError::into_inner);
        current.cert.first().cloned()
    }
}

fn certified(
    authority: &CertificateAuthority,
    sans: &[String],
    now: UnixSeconds,
) -> Result<Arc<CertifiedKey>, PkiError> {
    let issued = authority.issue_server(sans, now)?;
    let chain = vec![issued.certificate(), authority.certificate().clone()];
    Ok(Arc::new(CertifiedKey::from_der(chain, issued.key(), &provider())?))
}

fn config(
    identity: &ServerIdentity,
    verifier: Arc<dyn ClientCertVerifier>,
) -> Result<ServerConfig, PkiError> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&identity.current) as Arc<dyn ResolvesServerCert>);
    // No resumption: a resumed session would skip the check of the client's certificate, and tickets
    // cost memory per connection.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(config)
}

/// The hub: a client certificate from `ca` is mandatory. Whether it is a node's, and not revoked, the
/// caller checks after the handshake (`PeerIdentity`, `RevocationList`).
///
/// # Errors
/// rustls refuses the CA certificate.
pub fn hub_server_config(
    identity: &ServerIdentity,
    ca: &CertificateDer<'_>,
) -> Result<Arc<ServerConfig>, PkiError> {
    Ok(Arc::new(config(identity, client_verifier(ca, false)?)?))
}

/// The join listener: no client certificates; the CA certificate is in the chain, for those who know
/// only its hash.
///
/// # Errors
/// rustls refuses the configuration.
pub fn join_server_config(identity: &ServerIdentity) -> Result<Arc<ServerConfig>, PkiError> {
    Ok(Arc::new(config(identity, Arc::new(NoClientAuth))?))
}

/// The API and the renewal endpoint: a client certificate is optional; one that is shown must be from
/// `ca`.
///
/// # Errors
/// rustls refuses the CA certificate.
pub fn api_server_config(
    identity: &ServerIdentity,
    ca: &CertificateDer<'_>,
) -> Result<Arc<ServerConfig>, PkiError> {
    Ok(Arc::new(config(identity, client_verifier(ca, true)?)?))
}
