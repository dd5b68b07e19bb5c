//! What operators ask of a cloud, running or stopped: tokens, nodes, quarantine. Each is one transaction.

use ledge_core::journal::Txn;
use ledge_core::log::{Reader, Store, StoreError};
use ledge_core::sync::commands::cloud::{node_row, record};
use ledge_pki::{CertificateAuthority, PkiError, Token, TokenRecord, TokenScope, validate_node_name};
use ledge_schemas::kinds::control::{NodeResolved, TokenCreated};
use ledge_schemas::{LogId, NodeName, StreamId};
use serde::{Deserialize, Serialize};

use crate::hub::Sessions;
use crate::{clock, records};

/// Longest pattern of a token.
const MAX_PATTERN: usize = 253;
/// Longest life of a token: a year of seconds.
const MAX_TTL: u64 = 366 * 24 * 3600;

/// What a token is to admit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenRequest {
    /// Exactly this node.
    #[serde(default)]
    pub node: Option<String>,
    /// Every node whose name matches.
    #[serde(default)]
    pub pattern: Option<String>,
    /// How many joins.
    pub uses: u32,
    /// Whether it may replace a certificate.
    pub rejoin: bool,
    /// Seconds for which it is valid.
    pub ttl_seconds: u64,
}

/// Why an operation was not done.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// The request makes no sense.
    #[error("{0}")]
    Request(String),
    /// No such node.
    #[error("node {0} is not known here; `ledge-cloud node list` shows those that are")]
    NoNode(NodeName),
    /// The log says no.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// No token could be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
}

impl OperationError {
    /// For programs.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Request(_) => "bad-request",
            Self::NoNode(_) => "not-found",
            Self::Store(_) => "store",
            Self::Pki(_) => "pki",
        }
    }
}

/// Makes a token and the record of it; the secret is nowhere but in the token.
pub fn new_token(
    authority: &CertificateAuthority,
    request: TokenRequest,
) -> Result<(Token, TokenRecord), OperationError> {
    let wrong = |why: &str| Err(OperationError::Request(why.to_owned()));
    let scope = match (request.node, request.pattern) {
        (Some(_), Some(_)) => return wrong("--node and --match exclude each other"),
        (Some(node), None) => {
            validate_node_name(&node).map_err(|error| OperationError::Request(error.to_string()))?;
            TokenScope::Node(node)
        }
        (None, Some(pattern)) if pattern.is_empty() || pattern.len() > MAX_PATTERN => {
            return wrong("--match is empty or longer than a node name can be");
        }
        (None, Some(pattern)) => TokenScope::Match(pattern),
        (None, None) => TokenScope::Any,
    };
    if request.uses == 0 {
        return wrong("--uses 0 admits nobody");
    }
    if !(1..=MAX_TTL).contains(&request.ttl_seconds) {
        return wrong("--ttl is between 1s and 366d");
    }
    let expires =
        clock::unix_seconds().saturating_add(i64::try_from(request.ttl_seconds).unwrap_or(i64::MAX));
    let token = Token::generate(&authority.ca_hash())?;
    let record = TokenRecord::new(&token, scope, request.uses, expires, request.rejoin);
    Ok((token, record))
}

/// Records a token.
pub fn record_token<S: Store>(txn: &mut Txn<'_, S>, token: &TokenRecord) -> Result<(), OperationError> {
    let body = serde_json::to_vec(token).map_err(|error| OperationError::Request(error.to_string()))?;
    Ok(record(txn, &token.id, &TokenCreated { record: body })?)
}

/// Records which log of a node lives.
pub fn resolve<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName, keep: LogId) -> Result<(), OperationError> {
    let known = node_row(txn, node)?;
    if !records::has_joined(&known) {
        return Err(OperationError::NoNode(node.clone()));
    }
    Ok(record(txn, node.as_str(), &NodeResolved { keep })?)
}

/// A node, as it is listed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeView {
    /// Its name.
    pub node: String,
    /// live | away | never | stopped (no cloud process runs).
    pub state: String,
    /// Number of the confirmed session; 0 for none.
    pub session: u64,
    /// Where it is connected from.
    pub address: Option<String>,
    /// Tail of `up` here, `EPOCH:SEQ`.
    pub up: Option<String>,
    /// Tail of `down` here.
    pub down: Option<String>,
    /// `down` events that it has.
    pub down_acked: Option<u64>,
    /// Log id of `up` in the confirmed session.
    pub up_log: Option<String>,
    /// Why its hellos are refused, with the log id that it brought.
    pub quarantine: Option<(String, String)>,
    /// How often a stream of it was found shorter than it proved.
    pub regressions: u64,
}

/// Every node, with its live session if `sessions` knows of any.
pub fn nodes<R: Reader>(reader: &R, sessions: Option<&Sessions>) -> Result<Vec<NodeView>, StoreError> {
    let mut views = Vec::new();
    for (node, row) in records::nodes(reader)? {
        let live = sessions.and_then(|sessions| sessions.get(&node));
        let state = match (&live, sessions, row.confirmed) {
            (Some(_), ..) => "live",
            (None, None, _) => "stopped",
            (None, Some(_), 0) => "never",
            (None, Some(_), _) => "away",
        };
        let tail =
            |stream| Ok::<_, StoreError>(reader.head(&stream)?.map(|head| head.position().to_string()));
        views.push(NodeView {
            state: state.to_owned(),
            session: row.confirmed,
            address: live.as_ref().map(|live| live.address.to_string()),
            up: tail(StreamId::Up(node.clone()))?,
            down: tail(StreamId::Down(node.clone()))?,
            down_acked: live.and_then(|live| live.down_acked).map(|seq| seq.0),
            up_log: row.up_log.map(|log| log.to_string()),
            quarantine: row.quarantine.map(|q| (q.reason, q.log_id.to_string())),
            regressions: row.regressions,
            node: node.to_string(),
        });
    }
    Ok(views)
}

/// How the cloud is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// Whether a process serves.
    pub running: bool,
    /// Name of the store.
    pub store_id: Option<String>,
    /// UID of the authority that the objects come from.
    pub authority: Option<String>,
    /// Why nothing may be removed, if so.
    pub recovering: Option<String>,
    /// Tail of `cluster`.
    pub cluster: Option<String>,
    /// Tail of `control`.
    pub control: Option<String>,
    /// Addresses by listener; empty if stopped.
    pub listeners: std::collections::BTreeMap<String, String>,
    /// Nodes that are known.
    pub nodes: usize,
    /// Nodes with a live session.
    pub live: usize,
}

/// Reads the status.
pub fn status<R: Reader>(reader: &R) -> Result<StatusView, StoreError> {
    let tail = |stream| Ok::<_, StoreError>(reader.head(&stream)?.map(|head| head.position().to_string()));
    Ok(StatusView {
        running: false,
        store_id: records::store(reader)?.map(|row| row.store_id.to_string()),
        authority: records::authority(reader)?.map(|row| row.uid),
        recovering: records::recovering(reader)?.map(|row| row.reason),
        cluster: tail(StreamId::Cluster)?,
        control: tail(StreamId::Control)?,
        listeners: std::collections::BTreeMap::new(),
        nodes: records::nodes(reader)?.len(),
        live: 0,
    })
}
