//! `control`: membership, log ids and epochs, sessions, tokens, certificates. Key: the node's name,
//! the token's id, or empty for the cloud itself.

use bincode::{Decode, Encode};

use crate::{Epoch, LogId};

/// Which of a node's two streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub enum Direction {
    /// Written by the node.
    Up,
    /// Written by the cloud.
    Down,
}

/// The store was made. Its id is the authority's in standalone mode.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoreCreated {
    /// Random name of the store.
    pub store_id: LogId,
}

/// A join token was made. Key: its id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenCreated {
    /// The token's record (hash of the secret, never the secret) as JSON.
    pub record: Vec<u8>,
}

/// A join token was used once. Key: its id.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenUsed {
    /// By which node.
    pub node: String,
}

/// A certificate was issued to the node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateIssued {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256 of the certificate, hexadecimal.
    pub fingerprint: String,
    /// Unix seconds.
    pub not_after: u64,
}

/// A certificate of the node was revoked.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct CertificateRevoked {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// Why, for people.
    pub reason: String,
}

/// A session number was given out.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SessionIssued {
    /// The number.
    pub number: u64,
}

/// The node confirmed that it stored the session number.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct SessionConfirmed {
    /// The number.
    pub number: u64,
    /// Log id of the node's `up` stream in this session.
    pub up_log: LogId,
}

/// A log id got its epoch.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogBound {
    /// Which stream of the node.
    pub direction: Direction,
    /// The incarnation.
    pub log_id: LogId,
    /// Its number.
    pub epoch: Epoch,
}

/// A hello was refused as a clone, an old copy or a fork.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NodeQuarantined {
    /// Log id that it came with.
    pub log_id: LogId,
    /// Session number that it came with.
    pub number: u64,
    /// Why, for people.
    pub reason: String,
}

/// An operator decided which log of a quarantined node is to live.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct NodeResolved {
    /// The log that lives.
    pub keep: LogId,
}

/// A stream in the cloud ends below what the node proves it once accepted.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StreamRegressed {
    /// Which stream of the node.
    pub direction: Direction,
    /// Seq that had been accepted.
    pub accepted: u64,
    /// Seq that is there.
    pub found: u64,
}

/// The cloud knows less than an edge proves: nothing is removed until an operator accepts.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveringBegun {
    /// Why, for people.
    pub reason: String,
}

/// An operator accepted the state of the API as the truth.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveringAccepted {}

/// The API server that the objects come from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthorityBound {
    /// UID of its namespace kube-system; in standalone mode the store id, written as a UID.
    pub uid: String,
}

super::kinds! {
    400 "store-created" StoreCreated,
    401 "token-created" TokenCreated,
    402 "token-used" TokenUsed,
    403 "certificate-issued" CertificateIssued,
    404 "certificate-revoked" CertificateRevoked,
    405 "session-issued" SessionIssued,
    406 "session-confirmed" SessionConfirmed,
    407 "log-bound" LogBound,
    408 "node-quarantined" NodeQuarantined,
    409 "node-resolved" NodeResolved,
    410 "stream-regressed" StreamRegressed,
    411 "recovering-begun" RecoveringBegun,
    412 "recovering-accepted" RecoveringAccepted,
    413 "authority-bound" AuthorityBound,
}
