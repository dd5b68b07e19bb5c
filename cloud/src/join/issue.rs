//! Deciding over joins and renewals, and what is recorded of them.

use std::sync::Arc;

use ledge_core::journal::Txn;
use ledge_core::log::{Store, StoreError};
use ledge_core::sync::commands::cloud::{node_row, record};
use ledge_core::view::control::{self, NodeRow, TokenRow};
use ledge_core::view::row;
use ledge_log::{Class, WriteError};
use ledge_pki::{
    CertificateAuthority, JoinError, JoinErrorCode, JoinRequest, JoinResponse, NodeCertificate, PeerIdentity,
    PkiError, RenewRequest, RenewResponse, RevocationList, TokenError, TokenRecord, ValidJoin,
};
use ledge_schemas::kinds::control::{CertificateIssued, CertificateRevoked, NodeResolved, TokenUsed};
use ledge_schemas::{LogId, NodeName, StreamId};

use crate::clock;
use crate::hub::{NodeEvent, Sessions};
use crate::log::Log;
use crate::records;

/// See the module. Clones share it.
#[derive(Clone, Debug)]
pub struct Issuer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    authority: Arc<CertificateAuthority>,
    log: Log,
    sessions: Sessions,
    revoked: RevocationList,
    /// Hubs as `HOST:PORT`.
    hubs: Vec<String>,
}

fn internal(error: impl std::fmt::Display) -> JoinError {
    tracing::error!(%error, "a join could not be recorded");
    JoinError::new(
        JoinErrorCode::Internal,
        "the cloud could not record this; its log says why. Try again later",
    )
}

fn signing(error: PkiError) -> JoinError {
    JoinError::new(JoinErrorCode::SigningRequest, error)
}

/// Inside the writer: an answer for the node, or the store's.
enum Refused {
    Join(JoinError),
    Store(StoreError),
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<TokenError> for Refused {
    fn from(error: TokenError) -> Self {
        Self::Join(error.into())
    }
}

fn answer(error: WriteError<Refused>) -> JoinError {
    match error {
        WriteError::Refused(Refused::Join(error)) => error,
        WriteError::Refused(Refused::Store(error)) | WriteError::Store(error) => internal(error),
        WriteError::Admission(error) => internal(error),
        WriteError::Unknown(why) | WriteError::Stopped(why) => internal(why),
        WriteError::Closed => JoinError::new(JoinErrorCode::Busy, "the cloud is stopping; try again"),
    }
}

impl Issuer {
    /// Issues with `authority` and names these hubs.
    #[must_use]
    pub fn new(
        authority: Arc<CertificateAuthority>,
        log: Log,
        sessions: Sessions,
        revoked: RevocationList,
        hubs: Vec<String>,
    ) -> Self {
        Self { inner: Arc::new(Inner { authority, log, sessions, revoked, hubs }) }
    }

    /// Answers `POST /v1/join`.
    pub async fn join(&self, body: &[u8]) -> Result<JoinResponse, JoinError> {
        let request = JoinRequest::parse(body)?;
        let inner = &self.inner;
        let node =
            NodeName::new(request.node.clone()).map_err(|e| JoinError::new(JoinErrorCode::BadRequest, e))?;
        let log_id = log_id(&request)?;
        let now = clock::unix_seconds();
        // First without the writer, so that nobody without a token costs a signature.
        let token = records::token(&inner.log.reader, &request.token.id).map_err(internal)?;
        check_token(token.as_ref(), &request, now)?;
        let certificate =
            inner.authority.issue_node(&request.csr_der, &request.node, now).map_err(signing)?;
        let issued = issued(&certificate);
        let (joining, joined) = (node.clone(), request);
        let revoked = inner
            .log
            .writer
            .write(Class::Configuration, move |txn| take_name(txn, &joining, &joined, log_id, issued, now));
        let revoked = revoked.await.map_err(answer)?;
        self.joined(&node, revoked);
        let ca_pem = inner.authority.certificate_pem().to_owned();
        Ok(JoinResponse { certificate_pem: certificate.pem, ca_pem, hub: inner.hubs.clone() })
    }

    /// Answers `POST /v1/renew` of a node that TLS proved.
    pub async fn renew(&self, peer: &PeerIdentity, body: &[u8]) -> Result<RenewResponse, JoinError> {
        let csr = RenewRequest::parse(body)?;
        let inner = &self.inner;
        let refused = |why: &dyn std::fmt::Display| JoinError::new(JoinErrorCode::Certificate, why);
        inner.revoked.check(peer).map_err(|error| refused(&error))?;
        let node = NodeName::new(peer.node.clone()).map_err(|error| refused(&error))?;
        let certificate =
            inner.authority.issue_node(&csr, &peer.node, clock::unix_seconds()).map_err(signing)?;
        let (issued, renewing, serial) = (issued(&certificate), node.clone(), peer.serial.clone());
        let renewed = inner.log.writer.write(Class::Configuration, move |txn| {
            let current = node_row(txn, &renewing)?.certificate;
            if current.is_none_or(|current| current.serial != serial) {
                let why =
                    "this certificate was replaced; use the newer one, or join again with a --rejoin token";
                return Err(Refused::Join(JoinError::new(JoinErrorCode::Certificate, why)));
            }
            // The old one stays good until it expires: the node switches over when it has stored the new one.
            record(txn, renewing.as_str(), &issued)?;
            Ok(())
        });
        renewed.await.map_err(answer)?;
        inner.sessions.tell(NodeEvent::Joined(node));
        Ok(RenewResponse { certificate_pem: certificate.pem })
    }

    fn joined(&self, node: &NodeName, revoked: Option<String>) {
        tracing::info!(%node, rejoined = revoked.is_some(), "a node joined");
        if let Some(serial) = revoked {
            self.inner.revoked.revoke(&serial);
            self.inner.sessions.revoke(&serial);
        }
        self.inner.sessions.tell(NodeEvent::Joined(node.clone()));
    }
}

/// The `up` log that the node has already, if it says so.
fn log_id(request: &ValidJoin) -> Result<Option<LogId>, JoinError> {
    let bad = |_| JoinError::new(JoinErrorCode::BadRequest, "store_id is not a log id: 32 hex digits");
    request.store_id.as_deref().map(|text| text.parse().map_err(bad)).transpose()
}

fn check_token(row: Option<&TokenRow>, request: &ValidJoin, now: i64) -> Result<TokenRecord, TokenError> {
    let row = row.ok_or(TokenError::Unknown)?;
    let mut record: TokenRecord = serde_json::from_slice(&row.record).map_err(|_| TokenError::Unknown)?;
    record.uses_left = record.uses_left.saturating_sub(row.used);
    record.check(&request.token.secret, &request.node, now)?;
    Ok(record)
}

fn issued(certificate: &NodeCertificate) -> CertificateIssued {
    CertificateIssued {
        serial: certificate.info.serial.clone(),
        fingerprint: certificate.info.fingerprint.clone(),
        not_after: u64::try_from(certificate.info.not_after).unwrap_or_default(),
    }
}

/// Token, name and certificate in one commit; gives the serial number that was revoked by it.
fn take_name<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    request: &ValidJoin,
    log_id: Option<LogId>,
    issued: CertificateIssued,
    now: i64,
) -> Result<Option<String>, Refused> {
    let key = format!("{}{}", control::TOKEN, request.token.id);
    let row = txn.row(&StreamId::Control, key.as_bytes())?;
    let row: Option<TokenRow> = row.and_then(|bytes| row::decode(&bytes).ok()).map(|(_, row)| row);
    let token = check_token(row.as_ref(), request, now)?;
    let NodeRow { certificate, confirmed, .. } = node_row(txn, node)?;
    let taken = match &certificate {
        Some(old) => i64::try_from(old.not_after).is_ok_and(|end| end >= now),
        // A cloud that lost its records knows the node by its sessions only.
        None => confirmed > 0,
    };
    token.check_rejoin(node.as_str(), taken)?;
    if confirmed > 0 {
        // Another log will come with a lower session number: whose it is was decided by whoever made the token.
        let why = "this node had sessions before; send the log id of its new log as store_id";
        let keep = log_id.ok_or_else(|| Refused::Join(JoinError::new(JoinErrorCode::BadRequest, why)))?;
        record(txn, node.as_str(), &NodeResolved { keep })?;
    }
    if let Some(old) = &certificate {
        let reason = "the node joined again".to_owned();
        record(txn, node.as_str(), &CertificateRevoked { serial: old.serial.clone(), reason })?;
    }
    record(txn, &request.token.id, &TokenUsed { node: node.to_string() })?;
    record(txn, node.as_str(), &issued)?;
    Ok(certificate.map(|old| old.serial))
}
