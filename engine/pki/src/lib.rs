//! pki: who may speak, and how that is proved. Certificates, join tokens and TLS configurations; no
//! sockets, no HTTP, no async runtime.
//!
//! ```text
//!   operator ── ledge-cloud token create ──► Token (id, secret, CA hash)      cloud keeps a TokenRecord
//!                                              │
//!   edge:  NodeKey::generate ── CSR ───────────┤  inside TLS that HashVerifier proved by the CA hash
//!                                              ▼
//!   cloud: TokenRecord::check ─► CertificateAuthority::issue_node ─► JoinResponse
//!                                              │
//!   edge:  JoinResponse::accept ─► NodeCredentials (node.pem, 0600) ─► mutual TLS to the hub
//!                                              │
//!   hub:   PeerIdentity::from_chain ─► RevocationList::check ─► session
//! ```
//!
//! Reading order: `error` → `name` → `glob` → `token` → `record` → `authority` → `node` → `join` →
//! `identity` → `revocation` → `tls`.
//!
//! Rules kept here:
//! * What a certificate says (subject, usages, lifetime) is built by the authority; a signing request
//!   contributes its public key and nothing else.
//! * A token is sent only inside TLS verified by the CA hash the token itself carries.
//! * Time comes in as unix seconds, so that everything but the making of keys and secrets is repeatable.
//!   (TLS handshakes read the system clock: rustls decides validity.)
//! * Private keys are files of mode 0600, replaced atomically; one that others may read is refused.
//!
//! Absent on purpose: the join HTTP handler (cloud) and client (edge), the storage of token records and
//! revocations (events in `control`), certificate revocation lists as files.

mod authority;
mod error;
mod files;
mod glob;
mod identity;
mod join;
mod name;
mod node;
mod record;
mod renewal;
mod revocation;
mod tls;
mod token;

pub use authority::{
    ADMIN_GROUP, CA_CERTIFICATE_FILE, CA_KEY_FILE, CertificateAuthority, Credentials, NODE_USER_PREFIX,
    NODES_GROUP, NodeCertificate,
};
pub use error::PkiError;
pub use glob::glob_matches;
pub use identity::{CertificateInfo, PeerIdentity, fingerprint, node_name_of, sha256_hex};
pub use join::{
    JoinError, JoinErrorCode, JoinRequest, JoinResponse, MAX_JOIN_BODY, RenewRequest, RenewResponse,
    ValidJoin,
};
pub use name::{MAX_NODE_NAME, validate_node_name};
pub use node::{NODE_CREDENTIALS_FILE, NODE_KEY_FILE, NodeCredentials, NodeKey};
pub use record::{TokenError, TokenRecord, TokenScope};
pub use renewal::{must_renew, renew_at};
pub use revocation::{RevocationList, Revoked};
pub use tls::{
    ServerIdentity, api_server_config, hub_server_config, join_client_config, join_server_config,
    node_client_config, server_name,
};
pub use token::{Token, TokenParseError};

/// Seconds since 1970-01-01T00:00:00Z.
pub type UnixSeconds = i64;
