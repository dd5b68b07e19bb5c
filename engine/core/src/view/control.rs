//! The cloud's own records.
//!
//! - `node/<name>`: [`NodeRow`]
//! - `binding/<up|down>/<node>/<log id>`: [`BindingRow`]
//! - `token/<id>`: [`TokenRow`]
//! - `revoked/<serial>`: [`RevokedRow`]
//! - `store`: [`StoreRow`]; `authority`: [`AuthorityRow`]; `recovering`: [`RecoveringRow`]

use bincode::{Decode, Encode};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::control::{
    AuthorityBound, CertificateIssued, CertificateRevoked, Direction, LogBound, NodeQuarantined,
    NodeResolved, RecoveringAccepted, RecoveringBegun, SessionConfirmed, SessionIssued, StoreCreated,
    StreamRegressed, TokenCreated, TokenUsed,
};
use ledge_schemas::{Epoch, EventRef, LogId, Position};

use super::{Applied, Rows, row};
use crate::log::StoreError;

/// Prefix of the node rows.
pub const NODE: &str = "node/";
/// Prefix of the token rows.
pub const TOKEN: &str = "token/";
/// Prefix of the revocation rows.
pub const REVOKED: &str = "revoked/";
/// Key of the store's row.
pub const STORE: &str = "store";
/// Key of the authority's row.
pub const AUTHORITY: &str = "authority";
/// Key of the row that stands while the cloud is recovering.
pub const RECOVERING: &str = "recovering";

/// What the cloud knows of a node, apart from its streams.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct NodeRow {
    /// Highest session number given out.
    pub issued: u64,
    /// Highest session number that the node confirmed. Fencing goes by this.
    pub confirmed: u64,
    /// Log id of `up` in the confirmed session.
    pub up_log: Option<LogId>,
    /// Highest epoch ever bound to an `up` log of this node.
    pub up_epoch: Epoch,
    /// Highest epoch ever bound to a `down` log of this node.
    pub down_epoch: Epoch,
    /// Set while hellos are refused until an operator decides.
    pub quarantine: Option<Quarantine>,
    /// The log that an operator chose to live; its next hello passes whatever its session number.
    pub keep: Option<LogId>,
    /// The certificate that counts.
    pub certificate: Option<Certificate>,
    /// How often a stream of this node was found shorter than the node proves it had been.
    pub regressions: u64,
}

/// Why a node's hellos are refused.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Quarantine {
    /// Log id of the refused hello.
    pub log_id: LogId,
    /// Session number of the refused hello.
    pub number: u64,
    /// For people.
    pub reason: String,
}

/// A node's certificate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Certificate {
    /// Serial number, hexadecimal.
    pub serial: String,
    /// SHA-256, hexadecimal.
    pub fingerprint: String,
    /// Unix seconds.
    pub not_after: u64,
}

/// The epoch of a log id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BindingRow {
    /// Its number.
    pub epoch: Epoch,
}

/// A join token.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TokenRow {
    /// Its record as JSON, as it was when the token was made.
    pub record: Vec<u8>,
    /// How often it was used.
    pub used: u32,
}

/// A revoked certificate.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RevokedRow {
    /// Node it named.
    pub node: String,
    /// For people.
    pub reason: String,
}

/// The store's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StoreRow {
    /// Random name; the authority's id in standalone mode.
    pub store_id: LogId,
}

/// The API server that the objects come from.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AuthorityRow {
    /// UID of its namespace kube-system.
    pub uid: String,
}

/// Stands while nothing may be removed from any node.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct RecoveringRow {
    /// For people.
    pub reason: String,
}

/// Key of a node's row.
#[must_use]
pub fn node_key(node: &str) -> Vec<u8> {
    format!("{NODE}{node}").into_bytes()
}

/// Key of a binding's row.
#[must_use]
pub fn binding_key(direction: Direction, node: &str, log_id: LogId) -> Vec<u8> {
    let direction = match direction {
        Direction::Up => "up",
        Direction::Down => "down",
    };
    format!("binding/{direction}/{node}/{log_id}").into_bytes()
}

/// See [`super::apply`].
pub fn apply(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let mut out = Writer { rows, at };
    match event.kind {
        StoreCreated::KIND => out.on::<StoreCreated>(event, |out, body| {
            out.put(STORE.into(), &StoreRow { store_id: body.store_id })
        }),
        TokenCreated::KIND => out.on::<TokenCreated>(event, |out, body| {
            out.put(format!("{TOKEN}{}", event.key).into(), &TokenRow { record: body.record, used: 0 })
        }),
        TokenUsed::KIND => out.on::<TokenUsed>(event, |out, _| {
            let key = format!("{TOKEN}{}", event.key).into_bytes();
            let Some(mut token) = out.get::<TokenRow>(&key)? else { return Ok(()) };
            token.used = token.used.saturating_add(1);
            out.put(key, &token)
        }),
        CertificateIssued::KIND => out.node::<CertificateIssued>(event, |node, body| {
            let CertificateIssued { serial, fingerprint, not_after } = body;
            node.certificate = Some(Certificate { serial, fingerprint, not_after });
        }),
        CertificateRevoked::KIND => out.on::<CertificateRevoked>(event, |out, body| {
            let revoked = RevokedRow { node: event.key.to_owned(), reason: body.reason };
            out.put(format!("{REVOKED}{}", body.serial).into(), &revoked)
        }),
        SessionIssued::KIND => out.node::<SessionIssued>(event, |node, body| {
            node.issued = node.issued.max(body.number);
        }),
        SessionConfirmed::KIND => out.node::<SessionConfirmed>(event, |node, body| {
            node.confirmed = node.confirmed.max(body.number);
            node.up_log = Some(body.up_log);
            (node.quarantine, node.keep) = (None, None);
        }),
        LogBound::KIND => out.on::<LogBound>(event, |out, body| {
            let key = binding_key(body.direction, event.key, body.log_id);
            out.put(key, &BindingRow { epoch: body.epoch })?;
            out.change(event.key, |node| {
                let highest = match body.direction {
                    Direction::Up => &mut node.up_epoch,
                    Direction::Down => &mut node.down_epoch,
                };
                *highest = body.epoch.max(*highest);
            })
        }),
        NodeQuarantined::KIND => out.node::<NodeQuarantined>(event, |node, body| {
            let NodeQuarantined { log_id, number, reason } = body;
            node.quarantine = Some(Quarantine { log_id, number, reason });
        }),
        NodeResolved::KIND => out.node::<NodeResolved>(event, |node, body| {
            node.quarantine = None;
            node.keep = Some(body.keep);
        }),
        StreamRegressed::KIND => out.node::<StreamRegressed>(event, |node, _| {
            node.regressions = node.regressions.saturating_add(1);
        }),
        AuthorityBound::KIND => out.on::<AuthorityBound>(event, |out, body| {
            out.put(AUTHORITY.into(), &AuthorityRow { uid: body.uid })
        }),
        RecoveringBegun::KIND => out.on::<RecoveringBegun>(event, |out, body| {
            out.put(RECOVERING.into(), &RecoveringRow { reason: body.reason })
        }),
        RecoveringAccepted::KIND => {
            out.on::<RecoveringAccepted>(event, |out, _| out.rows.delete(RECOVERING.into()))
        }
        _ => Ok(Applied::Unknown),
    }
}

struct Writer<'a> {
    rows: &'a mut dyn Rows,
    at: Position,
}

impl Writer<'_> {
    fn on<B: Body>(
        &mut self,
        event: &EventRef<'_>,
        change: impl FnOnce(&mut Self, B) -> Result<(), StoreError>,
    ) -> Result<Applied, StoreError> {
        let Ok(body) = B::from_body(event.body) else { return Ok(Applied::Poison) };
        change(self, body)?;
        Ok(Applied::Done)
    }

    fn node<B: Body>(
        &mut self,
        event: &EventRef<'_>,
        change: impl FnOnce(&mut NodeRow, B),
    ) -> Result<Applied, StoreError> {
        self.on::<B>(event, |out, body| out.change(event.key, |node| change(node, body)))
    }

    fn change(&mut self, node: &str, change: impl FnOnce(&mut NodeRow)) -> Result<(), StoreError> {
        let key = node_key(node);
        let mut row = self.get::<NodeRow>(&key)?.unwrap_or_default();
        change(&mut row);
        self.put(key, &row)
    }

    fn get<T: Decode<()>>(&mut self, key: &[u8]) -> Result<Option<T>, StoreError> {
        Ok(self.rows.get(key)?.and_then(|bytes| row::decode(&bytes).ok()).map(|(_, body)| body))
    }

    fn put<T: Encode>(&mut self, key: Vec<u8>, body: &T) -> Result<(), StoreError> {
        match row::encode(self.at.seq, body) {
            Ok(bytes) => self.rows.put(key, bytes),
            Err(error) => Err(StoreError::Failed(error.to_string())),
        }
    }
}
