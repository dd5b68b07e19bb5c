//! What a certificate says about its holder.

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{FromDer, X509Certificate};

use crate::UnixSeconds;
use crate::authority::{NODE_USER_PREFIX, NODES_GROUP};
use crate::error::PkiError;
use crate::name::validate_node_name;

/// SHA-256 of `bytes`, 64 lower-case hex digits.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes))
}

/// SHA-256 of a certificate's DER, 64 lower-case hex digits.
#[must_use]
pub fn fingerprint(certificate_der: &[u8]) -> String {
    sha256_hex(certificate_der)
}

/// The first certificate in a PEM text.
pub(crate) fn certificate_from_pem(pem: &str) -> Result<CertificateDer<'static>, PkiError> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| PkiError::certificate(format!("no certificate in the PEM text ({error})")))
}

/// The fields of a certificate that are used here. Says nothing about whether it is trusted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Common name: the user.
    pub user: String,
    /// Organisations: the groups.
    pub groups: Vec<String>,
    /// Serial number, lower-case hex without leading zeros.
    pub serial: String,
    /// SHA-256 of the DER, hex.
    pub fingerprint: String,
    /// First second of validity.
    pub not_before: UnixSeconds,
    /// Last second of validity.
    pub not_after: UnixSeconds,
    /// The subject's public key, as the bits of the key itself.
    pub(crate) public_key: Vec<u8>,
}

impl CertificateInfo {
    /// Reads a certificate.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] if it is not one, or has not exactly one common name.
    pub fn of(certificate_der: &[u8]) -> Result<Self, PkiError> {
        let (rest, certificate) = X509Certificate::from_der(certificate_der)
            .map_err(|error| PkiError::certificate(format!("not X.509 ({error})")))?;
        if !rest.is_empty() {
            return Err(PkiError::certificate("bytes follow the certificate"));
        }
        let subject = certificate.subject();
        let mut users = subject.iter_common_name();
        let (Some(user), None) = (users.next(), users.next()) else {
            return Err(PkiError::certificate("its subject has not exactly one common name"));
        };
        let user = user.as_str().map_err(PkiError::certificate)?.to_owned();
        let groups = subject
            .iter_organization()
            .map(|group| group.as_str().map(str::to_owned).map_err(PkiError::certificate))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            user,
            groups,
            serial: certificate.serial.to_str_radix(16),
            fingerprint: fingerprint(certificate_der),
            not_before: certificate.validity().not_before.timestamp(),
            not_after: certificate.validity().not_after.timestamp(),
            public_key: certificate.public_key().subject_public_key.data.to_vec(),
        })
    }

    /// The node this certificate names: organisation `system:nodes`, common name `system:node:<name>`.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] if it is not a node's certificate.
    pub fn node_name(&self) -> Result<&str, PkiError> {
        if !self.groups.iter().any(|group| group == NODES_GROUP) {
            return Err(PkiError::certificate(format!(
                "{:?} is not in the group {NODES_GROUP}: this is not a node's certificate",
                self.user
            )));
        }
        let Some(name) = self.user.strip_prefix(NODE_USER_PREFIX) else {
            return Err(PkiError::certificate(format!(
                "common name {:?} does not begin with {NODE_USER_PREFIX}",
                self.user
            )));
        };
        validate_node_name(name)?;
        Ok(name)
    }
}

/// The node a certificate names. Only for certificates whose chain was verified.
///
/// # Errors
/// [`PkiError::Certificate`] if it is not a node's certificate.
pub fn node_name_of(certificate_der: &[u8]) -> Result<String, PkiError> {
    CertificateInfo::of(certificate_der)?.node_name().map(str::to_owned)
}

/// The node at the other end of a mutual TLS connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerIdentity {
    /// Node name.
    pub node: String,
    /// Serial number of its certificate, lower-case hex.
    pub serial: String,
    /// SHA-256 of its certificate, hex.
    pub fingerprint: String,
    /// Last second at which its certificate is valid.
    pub not_after: UnixSeconds,
}

impl PeerIdentity {
    /// From what `peer_certificates()` gives after a handshake that verified them.
    ///
    /// # Errors
    /// [`PkiError::Certificate`] if there is none or it is not a node's.
    pub fn from_chain(chain: Option<&[CertificateDer<'_>]>) -> Result<Self, PkiError> {
        let Some(leaf) = chain.and_then(<[_]>::first) else {
            return Err(PkiError::certificate("the peer sent no certificate"));
        };
        let info = CertificateInfo::of(leaf)?;
        Ok(Self {
            node: info.node_name()?.to_owned(),
            serial: info.serial,
            fingerprint: info.fingerprint,
            not_after: info.not_after,
        })
    }
}
