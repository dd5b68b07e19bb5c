//! What a node and the join endpoint say to each other: JSON, every part bounded.
//!
//! ```text
//! POST /v1/join    JoinRequest  → 200 JoinResponse | 4xx/5xx JoinError    TLS verified by the CA hash
//! POST /v1/renew   RenewRequest → 200 RenewResponse | 4xx/5xx JoinError   mutual TLS with the old certificate
//! ```

use rustls::pki_types::CertificateSigningRequestDer;
use rustls::pki_types::pem::PemObject;
use serde::{Deserialize, Serialize};

use crate::UnixSeconds;
use crate::error::PkiError;
use crate::identity::{certificate_from_pem, fingerprint};
use crate::name::validate_node_name;
use crate::node::{NodeCredentials, NodeKey};
use crate::record::TokenError;
use crate::tls::verify_issued_by;
use crate::token::{Token, TokenParseError};

/// Longest body either side reads, in bytes.
pub const MAX_JOIN_BODY: usize = 64 * 1024;
const MAX_CSR_PEM: usize = 16 * 1024;
const MAX_STORE_ID: usize = 128;
const MAX_HUBS: usize = 64;
const MAX_HUB: usize = 300;
const MAX_MESSAGE_CHARS: usize = 2000;

/// A node asks for its certificate.
#[derive(Clone, Serialize, Deserialize)]
pub struct JoinRequest {
    /// Text form of the join token.
    pub token: String,
    /// Name to join under.
    pub node: String,
    /// Signing request, PEM.
    pub csr_pem: String,
    /// Log id of the store the node has already, if any: a hint for the operator, not a proof.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub store_id: Option<String>,
}

impl std::fmt::Debug for JoinRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("JoinRequest").field("node", &self.node).finish_non_exhaustive()
    }
}

/// A join request whose parts were checked. The token still has to be compared with its record.
#[derive(Clone, Debug)]
pub struct ValidJoin {
    /// The token.
    pub token: Token,
    /// A valid node name.
    pub node: String,
    /// Signing request, DER; verified when the certificate is issued.
    pub csr_der: Vec<u8>,
    /// Log id of the store the node has already.
    pub store_id: Option<String>,
}

impl JoinRequest {
    /// Reads and checks a request body.
    ///
    /// # Errors
    /// A [`JoinError`] to answer with.
    pub fn parse(body: &[u8]) -> Result<ValidJoin, JoinError> {
        let request: Self = parse_body(body)?;
        if request.store_id.as_ref().is_some_and(|id| id.len() > MAX_STORE_ID) {
            return Err(JoinError::bad_request(format!("store_id is longer than {MAX_STORE_ID} bytes")));
        }
        let token = request.token.parse().map_err(|error: TokenParseError| JoinError::bad_request(error))?;
        validate_node_name(&request.node).map_err(JoinError::bad_request)?;
        let csr_der = csr_from_pem(&request.csr_pem)?;
        Ok(ValidJoin { token, node: request.node, csr_der, store_id: request.store_id })
    }
}

/// A node asks for its next certificate; who it is, the TLS connection tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RenewRequest {
    /// Signing request for a new key, PEM.
    pub csr_pem: String,
}

impl RenewRequest {
    /// Reads and checks a request body; gives the signing request as DER.
    ///
    /// # Errors
    /// A [`JoinError`] to answer with.
    pub fn parse(body: &[u8]) -> Result<Vec<u8>, JoinError> {
        csr_from_pem(&parse_body::<Self>(body)?.csr_pem)
    }
}

/// The certificate, and where to go with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JoinResponse {
    /// The node's certificate, PEM.
    pub certificate_pem: String,
    /// The CA certificate, PEM; its hash must be the token's.
    pub ca_pem: String,
    /// Hubs as `HOST:PORT`, in the order to try them. Each is covered by the hub's certificate.
    pub hub: Vec<String>,
}

impl JoinResponse {
    /// Reads a response body (at most [`MAX_JOIN_BODY`]).
    ///
    /// # Errors
    /// [`PkiError::Certificate`] with what is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, PkiError> {
        let response: Self = parse_body(body).map_err(|error| PkiError::certificate(error.message))?;
        let hubs = response.hub.len();
        if hubs == 0 || hubs > MAX_HUBS || response.hub.iter().any(|hub| hub.len() > MAX_HUB) {
            return Err(PkiError::certificate("the cloud named no hub, or too many; check its --advertise"));
        }
        Ok(response)
    }

    /// Checks what the cloud gave and makes it this node's credentials.
    ///
    /// # Errors
    /// A CA other than the token's, a certificate that this CA did not sign, or for another node or key.
    pub fn accept(
        &self,
        token: &Token,
        key: NodeKey,
        node: &str,
        now: UnixSeconds,
    ) -> Result<NodeCredentials, PkiError> {
        accept(&self.certificate_pem, &self.ca_pem, &token.ca_hash, key, node, now)
    }
}

/// The next certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RenewResponse {
    /// The node's new certificate, PEM.
    pub certificate_pem: String,
}

impl RenewResponse {
    /// Reads a response body (at most [`MAX_JOIN_BODY`]).
    ///
    /// # Errors
    /// [`PkiError::Certificate`] with what is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, PkiError> {
        parse_body(body).map_err(|error| PkiError::certificate(error.message))
    }

    /// Checks the new certificate and makes it this node's credentials, under the CA it has already.
    ///
    /// # Errors
    /// As [`JoinResponse::accept`].
    pub fn accept(
        &self,
        old: &NodeCredentials,
        key: NodeKey,
        now: UnixSeconds,
    ) -> Result<NodeCredentials, PkiError> {
        accept(&self.certificate_pem, old.ca_pem(), &old.ca_hash(), key, old.node(), now)
    }
}

fn accept(
    certificate_pem: &str,
    ca_pem: &str,
    ca_hash: &str,
    key: NodeKey,
    node: &str,
    now: UnixSeconds,
) -> Result<NodeCredentials, PkiError> {
    let ca = certificate_from_pem(ca_pem)?;
    if fingerprint(&ca) != ca_hash {
        return Err(PkiError::certificate(format!(
            "the cloud sent CA {}, expected {ca_hash}",
            fingerprint(&ca)
        )));
    }
    let credentials = NodeCredentials::new(key, certificate_pem, ca_pem)?;
    if credentials.node() != node {
        return Err(PkiError::certificate(format!(
            "the cloud sent a certificate for node {:?}, expected {node:?}",
            credentials.node()
        )));
    }
    verify_issued_by(&credentials.chain()[0], &ca, now)?;
    Ok(credentials)
}

/// What kind of refusal it is, for programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JoinErrorCode {
    /// The request is malformed.
    BadRequest,
    /// No such token or another secret.
    TokenUnknown,
    /// The token's time is over.
    TokenExpired,
    /// The token has no uses left.
    TokenUsedUp,
    /// The token is for other nodes.
    TokenNotForNode,
    /// The name has a certificate and the token may not replace it.
    RejoinRequired,
    /// The signing request was refused.
    SigningRequest,
    /// The certificate that asks for its renewal is revoked or not a node's.
    Certificate,
    /// Try again later.
    Busy,
    /// Something broke in the cloud; its log says what.
    Internal,
    /// A code of a later version.
    #[serde(other)]
    Unknown,
}

/// The answer when there is no certificate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[error("{message}")]
pub struct JoinError {
    /// For programs.
    pub code: JoinErrorCode,
    /// For people: what, and what next.
    pub message: String,
}

impl JoinError {
    /// An error with this code and message, the message cut to 2000 characters.
    #[must_use]
    pub fn new(code: JoinErrorCode, message: impl ToString) -> Self {
        Self { code, message: message.to_string().chars().take(MAX_MESSAGE_CHARS).collect() }
    }

    fn bad_request(message: impl ToString) -> Self {
        Self::new(JoinErrorCode::BadRequest, message)
    }

    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self.code {
            JoinErrorCode::BadRequest | JoinErrorCode::SigningRequest | JoinErrorCode::Unknown => 400,
            JoinErrorCode::TokenUnknown | JoinErrorCode::TokenExpired | JoinErrorCode::TokenUsedUp => 401,
            JoinErrorCode::TokenNotForNode | JoinErrorCode::Certificate => 403,
            JoinErrorCode::RejoinRequired => 409,
            JoinErrorCode::Busy => 503,
            JoinErrorCode::Internal => 500,
        }
    }

    /// Whether the same request may succeed later.
    #[must_use]
    pub fn retryable(&self) -> bool {
        matches!(self.code, JoinErrorCode::Busy | JoinErrorCode::Internal)
    }

    /// Reads the body of a refusal; one that is not ours becomes [`JoinErrorCode::Unknown`].
    #[must_use]
    pub fn parse(status: u16, body: &[u8]) -> Self {
        parse_body::<Self>(body).map_or_else(
            |_| {
                Self::new(JoinErrorCode::Unknown, format!("answered HTTP {status}; is this a join listener?"))
            },
            |error| Self::new(error.code, error.message),
        )
    }
}

impl From<TokenError> for JoinError {
    fn from(error: TokenError) -> Self {
        let code = match &error {
            TokenError::Unknown => JoinErrorCode::TokenUnknown,
            TokenError::Expired { .. } => JoinErrorCode::TokenExpired,
            TokenError::UsedUp { .. } => JoinErrorCode::TokenUsedUp,
            TokenError::NotForNode { .. } => JoinErrorCode::TokenNotForNode,
            TokenError::RejoinRequired { .. } => JoinErrorCode::RejoinRequired,
        };
        Self::new(code, error)
    }
}

fn parse_body<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, JoinError> {
    if body.len() > MAX_JOIN_BODY {
        return Err(JoinError::bad_request(format!("the body is longer than {MAX_JOIN_BODY} bytes")));
    }
    serde_json::from_slice(body)
        .map_err(|error| JoinError::bad_request(format!("not the JSON expected: {error}")))
}

fn csr_from_pem(pem: &str) -> Result<Vec<u8>, JoinError> {
    if pem.len() > MAX_CSR_PEM {
        return Err(JoinError::bad_request(format!("csr_pem is longer than {MAX_CSR_PEM} bytes")));
    }
    let der = CertificateSigningRequestDer::from_pem_slice(pem.as_bytes());
    let der = der.map_err(|error| {
        JoinError::new(
            JoinErrorCode::SigningRequest,
            format!("csr_pem is not a PEM signing request ({error})"),
        )
    })?;
    Ok(der.as_ref().to_vec())
}
