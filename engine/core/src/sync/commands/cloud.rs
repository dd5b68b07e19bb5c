//! Changes that the cloud makes for a node's session. All of them read and write in one
//! transaction, so that two connections of one node cannot both be right.

use std::collections::BTreeMap;

use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::control::{
    LogBound, NodeQuarantined, RecoveringBegun, SessionConfirmed, SessionIssued, StreamRegressed,
};
use ledge_schemas::{Epoch, LogId, NodeName, Seq, StreamId, format, limits};

use super::Fresh;
use super::edge::rebased;
use crate::broken::{self, Bug};
use crate::journal::{Draft, Txn};
use crate::log::{Store, StoreError, StreamHead};
use crate::sync::Answer;
use crate::sync::message::{
    Confirm, Direction, DownPlan, Hello, Refuse, RefuseCode, StreamState, UpPlan, UpVerdict, Welcome,
};
use crate::view::control::{self, BindingRow, NodeRow, StoreRow};
use crate::view::row;
use crate::{Base, BaseReason, Digest, Row};

/// Milliseconds after which a quarantined node may ask again.
const QUARANTINE_RETRY_MS: u32 = 30_000;
/// Milliseconds between two heartbeats of an edge.
pub const HEARTBEAT_MS: u32 = 5_000;

/// A node's row; default if there is none.
pub fn node_row<S: Store>(txn: &Txn<'_, S>, node: &NodeName) -> Result<NodeRow, StoreError> {
    let bytes = txn.row(&StreamId::Control, &control::node_key(node.as_str()))?;
    Ok(bytes.and_then(|bytes| row::decode(&bytes).ok()).map(|(_, row)| row).unwrap_or_default())
}

/// Whether a session is the node's confirmed one.
pub(super) fn is_current<S: Store>(
    txn: &Txn<'_, S>,
    node: &NodeName,
    session: u64,
) -> Result<bool, StoreError> {
    Ok(node_row(txn, node)?.confirmed == session || broken::is(Bug::TrustArrivalTime))
}

/// Appends an event about a node to `control`.
pub fn record<S: Store, B: Body>(txn: &mut Txn<'_, S>, key: &str, body: &B) -> Result<(), StoreError> {
    let draft = Draft::new(key, body).map_err(|error| StoreError::Failed(error.to_string()))?;
    txn.append(&StreamId::Control, draft).map(drop)
}

/// Answers a hello.
pub(super) fn hello<S: Store>(
    txn: &mut Txn<'_, S>,
    hello: &Hello,
    fresh: Fresh,
) -> Result<Answer, StoreError> {
    let answer = match admit(txn, hello)? {
        Some(refuse) => Err(refuse),
        None => Ok(welcome(txn, hello, fresh)?),
    };
    Ok(Answer::Hello(Box::new(answer)))
}

/// Why there is no session, if so.
fn admit<S: Store>(txn: &mut Txn<'_, S>, hello: &Hello) -> Result<Option<Refuse>, StoreError> {
    let refuse = |code, text: String, retry_after_ms| Some(Refuse { code, text, retry_after_ms });
    if hello.protocol < format::PROTOCOL_OLDEST || hello.protocol_oldest > format::PROTOCOL {
        let text = format!(
            "edge speaks protocol {} to {}, this cloud {} to {}: upgrade the older one",
            hello.protocol_oldest,
            hello.protocol,
            format::PROTOCOL_OLDEST,
            format::PROTOCOL
        );
        return Ok(refuse(RefuseCode::Protocol, text, QUARANTINE_RETRY_MS));
    }
    let node = node_row(txn, &hello.node)?;
    let (log_id, number) = (hello.up.log_id, hello.session);
    let reason = match node.keep {
        Some(keep) if keep == log_id => return Ok(None),
        Some(keep) => format!("an operator chose log {keep} for this node"),
        None if number < node.confirmed => {
            format!(
                "its session {number} is older than the confirmed {}: a clone or an old copy",
                node.confirmed
            )
        }
        None => return Ok(None),
    };
    if broken::is(Bug::TrustArrivalTime) {
        return Ok(None);
    }
    let text = format!(
        "quarantined: {reason}. It brings log {log_id}. Decide with `ledge-cloud node resolve {} --keep {log_id}`",
        hello.node
    );
    let known = node.quarantine.is_some_and(|q| q.log_id == log_id && q.number == number);
    if !known {
        record(txn, hello.node.as_str(), &NodeQuarantined { log_id, number, reason })?;
    }
    Ok(refuse(RefuseCode::Quarantined, text, QUARANTINE_RETRY_MS))
}

fn welcome<S: Store>(txn: &mut Txn<'_, S>, hello: &Hello, fresh: Fresh) -> Result<Welcome, StoreError> {
    let node = node_row(txn, &hello.node)?;
    let session = node.issued.max(hello.session).max(node.confirmed) + 1;
    record(txn, hello.node.as_str(), &SessionIssued { number: session })?;
    let up_epoch = bind(txn, &hello.node, Direction::Up, &hello.up)?;
    let up = up_plan(txn, hello)?;
    let down = down_plan(txn, hello, fresh)?;
    let store = txn.row(&StreamId::Control, control::STORE.as_bytes())?;
    let store: Option<(Seq, StoreRow)> = store.and_then(|bytes| row::decode(&bytes).ok());
    Ok(Welcome {
        session,
        protocol: format::PROTOCOL.min(hello.protocol),
        store_id: store.map_or(LogId([0; 16]), |(_, store)| store.store_id),
        now_ms: txn.now_ms(),
        heartbeat_ms: HEARTBEAT_MS,
        credit_frames: limits::CREDIT_FRAMES,
        credit_bytes: limits::CREDIT_BYTES,
        up_epoch,
        up,
        down,
    })
}

/// The epoch of a log: the one it was bound to, or one above the highest that either side knows.
fn bind<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    direction: Direction,
    state: &StreamState,
) -> Result<Epoch, StoreError> {
    let key = control::binding_key(direction, node.as_str(), state.log_id);
    let bound = txn.row(&StreamId::Control, &key)?;
    if let Some((_, BindingRow { epoch })) = bound.and_then(|bytes| row::decode(&bytes).ok()) {
        return Ok(epoch);
    }
    let row = node_row(txn, node)?;
    let highest = if direction == Direction::Up { row.up_epoch } else { row.down_epoch };
    // An epoch that another cloud store gave is kept if it is above all that this one knows.
    let epoch = if state.epoch > highest { state.epoch } else { highest.next() };
    record(txn, node.as_str(), &LogBound { direction, log_id: state.log_id, epoch })?;
    Ok(epoch)
}

fn up_plan<S: Store>(txn: &mut Txn<'_, S>, hello: &Hello) -> Result<UpPlan, StoreError> {
    let stream = StreamId::Up(hello.node.clone());
    let head = txn.head(&stream).filter(|head| head.base.log_id == hello.up.log_id);
    let found = head.as_ref().map_or(Seq::ZERO, |head| head.tail);
    if found < hello.up_accepted {
        let (accepted, found) = (hello.up_accepted.0, found.0);
        record(txn, hello.node.as_str(), &StreamRegressed { direction: Direction::Up, accepted, found })?;
    }
    Ok(match head {
        None => UpPlan::Begin,
        Some(head) if hello.up.head < head.tail && !broken::is(Bug::KeepLostLog) => UpPlan::NewLog,
        Some(StreamHead { tail, chain, .. }) => UpPlan::Continue { tail, chain },
    })
}

fn down_plan<S: Store>(txn: &mut Txn<'_, S>, hello: &Hello, fresh: Fresh) -> Result<DownPlan, StoreError> {
    let node = &hello.node;
    let stream = StreamId::Down(node.clone());
    let Some(theirs) = &hello.down else {
        ensure_down(txn, node, fresh)?;
        return Ok(DownPlan::Base);
    };
    let Some(ours) = txn.head(&stream) else {
        begin_recovering(txn, &format!("node {node} holds objects that this cloud knows nothing of"))?;
        return Ok(DownPlan::Rows);
    };
    if ours.base.log_id != theirs.log_id {
        let key = control::binding_key(Direction::Down, node.as_str(), theirs.log_id);
        // A log that this cloud itself replaced is merely old; any other was written by a cloud
        // that this one does not remember.
        if txn.row(&StreamId::Control, &key)?.is_some() {
            return Ok(DownPlan::Base);
        }
        begin_recovering(txn, &format!("node {node} holds a down log that this cloud did not write"))?;
        return Ok(DownPlan::Rows);
    }
    if theirs.head > ours.tail {
        let (accepted, found) = (theirs.head.0, ours.tail.0);
        record(txn, node.as_str(), &StreamRegressed { direction: Direction::Down, accepted, found })?;
        begin_recovering(txn, &format!("node {node} holds {accepted} down events, this cloud {found}"))?;
        return Ok(DownPlan::Offer { tail: ours.tail, chain: ours.chain });
    }
    if theirs.head < ours.base.seq {
        return Ok(DownPlan::Base);
    }
    match txn.chain_at(&stream, theirs.head)? {
        Some(chain) if chain == theirs.chain => Ok(DownPlan::Send),
        _ => {
            begin_recovering(txn, &format!("node {node} holds a down log that parted from this cloud's"))?;
            Ok(DownPlan::Rows)
        }
    }
}

/// Begins the node's `down` log if there is none.
pub fn ensure_down<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName, fresh: Fresh) -> Result<(), StoreError> {
    if txn.head(&StreamId::Down(node.clone())).is_some() {
        return Ok(());
    }
    begin_down(txn, node, fresh, Vec::new(), BaseReason::New)
}

fn begin_down<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    fresh: Fresh,
    rows: Vec<Row>,
    reason: BaseReason,
) -> Result<(), StoreError> {
    let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
    let mut base = Base::begin(fresh.log_id, Epoch::PROVISIONAL, digest, reason);
    let state = StreamState {
        log_id: base.log_id,
        epoch: base.epoch,
        oldest: base.seq,
        head: base.seq,
        chain: base.chain,
    };
    base.epoch = bind(txn, node, Direction::Down, &state)?;
    txn.begin(&StreamId::Down(node.clone()), base, rows)
}

/// Records that nothing may be removed from any node until an operator accepts.
pub fn begin_recovering<S: Store>(txn: &mut Txn<'_, S>, reason: &str) -> Result<(), StoreError> {
    if is_recovering(txn)? {
        return Ok(());
    }
    record(txn, "", &RecoveringBegun { reason: reason.to_owned() })
}

/// Whether removals are withheld.
pub fn is_recovering<S: Store>(txn: &Txn<'_, S>) -> Result<bool, StoreError> {
    Ok(txn.row(&StreamId::Control, control::RECOVERING.as_bytes())?.is_some())
}

/// The node stored its session number: older sessions are fenced from here on.
pub(super) fn confirm<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    confirm: &Confirm,
) -> Result<Answer, StoreError> {
    let row = node_row(txn, node)?;
    if confirm.session <= row.confirmed && !broken::is(Bug::TrustArrivalTime) {
        return Ok(Answer::Fenced);
    }
    if confirm.up == UpVerdict::Forked {
        let (log_id, number) = (confirm.up_log, confirm.session);
        let reason = "its up log and the cloud's have parted".to_owned();
        record(txn, node.as_str(), &NodeQuarantined { log_id, number, reason })?;
        return Ok(Answer::Fenced);
    }
    record(txn, node.as_str(), &SessionConfirmed { number: confirm.session, up_log: confirm.up_log })?;
    Ok(Answer::Done)
}

/// Begins a new `down` log with what both sides know: where both have a row the cloud's counts,
/// and what only the edge has stays. Absence is not deletion.
pub(super) fn reconcile<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    fresh: Fresh,
    theirs: Vec<Row>,
) -> Result<Answer, StoreError> {
    let mut merged: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
    if !broken::is(Bug::DeleteOnAbsence) {
        merged.extend(theirs.into_iter().map(|row| (row.key, row.value)));
    }
    let ours = txn.rows(&StreamId::Down(node.clone()), b"")?;
    merged.extend(ours);
    begin_down(txn, node, fresh, rebased(merged), BaseReason::Reconciled)?;
    snapshot(txn, node)
}

/// Base and rows of `down` as they are now.
pub(super) fn snapshot<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName) -> Result<Answer, StoreError> {
    let stream = StreamId::Down(node.clone());
    let head = txn.head(&stream).ok_or_else(|| StoreError::NoStream(stream.clone()))?;
    let rows = txn.rows(&stream, b"")?;
    let rows = rows.into_iter().map(|(key, value)| Row { key, value }).collect();
    let chain = txn.sealed_chain(&stream)?;
    let base = Base {
        seq: head.tail,
        chain,
        view_version: head.cursor.view_version,
        digest: head.cursor.digest,
        ..head.base
    };
    Ok(Answer::Snapshot(Box::new((base, rows))))
}
