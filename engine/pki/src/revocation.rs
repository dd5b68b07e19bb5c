//! Certificates that are no longer honoured, whatever their dates say.

use std::collections::BTreeSet;
use std::sync::{Arc, PoisonError, RwLock};

use crate::identity::PeerIdentity;

/// A set of revoked certificates shared by all listeners of a process. It is fed from events; it is asked
/// after each handshake, and again for open sessions when something was revoked.
#[derive(Clone, Debug, Default)]
pub struct RevocationList {
    serials: Arc<RwLock<BTreeSet<String>>>,
}

/// The certificate was revoked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the certificate {serial} of node {node:?} was revoked; \
     join again with a token made by `ledge-cloud token create --node {node} --rejoin`"
)]
pub struct Revoked {
    /// The node the certificate names.
    pub node: String,
    /// Its serial number, hex.
    pub serial: String,
}

impl RevocationList {
    /// Revokes the certificate with this serial number (lower-case hex, as [`PeerIdentity::serial`]).
    pub fn revoke(&self, serial: &str) {
        self.serials.write().unwrap_or_else(PoisonError::into_inner).insert(serial.to_owned());
    }

    /// Forgets a serial number, once the certificate has expired anyway.
    pub fn forget(&self, serial: &str) {
        self.serials.write().unwrap_or_else(PoisonError::into_inner).remove(serial);
    }

    /// Whether a serial number is revoked.
    #[must_use]
    pub fn contains(&self, serial: &str) -> bool {
        self.serials.read().unwrap_or_else(PoisonError::into_inner).contains(serial)
    }

    /// Refuses a revoked peer.
    ///
    /// # Errors
    /// [`Revoked`], worded for the person at the node.
    pub fn check(&self, peer: &PeerIdentity) -> Result<(), Revoked> {
        if self.contains(&peer.serial) {
            return Err(Revoked { node: peer.node.clone(), serial: peer.serial.clone() });
        }
        Ok(())
    }
}
