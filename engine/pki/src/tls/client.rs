//! Clients at the edge.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;

use super::hash_verifier::HashVerifier;
use super::{HTTP_1, VERSIONS, only_root, provider};
use crate::error::PkiError;
use crate::node::NodeCredentials;
use crate::token::Token;

/// A node towards the hub: shows its certificate; the server must show one of the node's CA for the name
/// that was dialled.
///
/// # Errors
/// rustls refuses key or certificate.
pub fn node_client_config(credentials: &NodeCredentials) -> Result<Arc<ClientConfig>, PkiError> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .with_root_certificates(only_root(credentials.ca())?)
        .with_client_auth_cert(credentials.chain(), credentials.private_key()?)?;
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

/// A node that joins: it knows of the cloud only the CA hash in `token`, so the server must show a
/// certificate of the CA with that hash. The token may be sent inside this TLS, and nowhere else.
///
/// # Errors
/// rustls refuses the configuration.
pub fn join_client_config(token: &Token) -> Result<Arc<ClientConfig>, PkiError> {
    let verifier = HashVerifier::new(token.ca_hash.clone(), provider());
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(VERSIONS)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    config.alpn_protocols = vec![HTTP_1.to_vec()];
    Ok(Arc::new(config))
}

/// The name to verify a server by: a host name or an IP address (IPv6 also in brackets).
///
/// # Errors
/// [`PkiError::HostName`].
pub fn server_name(host: &str) -> Result<ServerName<'static>, PkiError> {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    ServerName::try_from(bare.to_owned())
        .map_err(|_| PkiError::HostName { host: host.chars().take(300).collect() })
}
