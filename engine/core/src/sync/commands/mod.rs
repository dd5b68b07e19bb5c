//! Changes that sessions make in the journal, each inside one transaction.

pub mod cloud;
pub mod edge;

use ledge_schemas::{LogId, NodeName, StreamId};

use super::message::Direction;
use super::session_log::stream;
use super::{Answer, Command};
use crate::journal::Txn;
use crate::log::{Store, StoreError};
use crate::{Base, Row, Run};

/// What a command may not make up itself.
#[derive(Clone, Copy, Debug)]
pub struct Fresh {
    /// A random log id, used if a new log begins.
    pub log_id: LogId,
}

/// Which side runs a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// `ledge-edge`.
    Edge,
    /// `ledge-cloud`.
    Cloud,
}

/// Runs a session's command for a node.
pub fn run<S: Store>(
    side: Side,
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    fresh: Fresh,
    command: Command,
) -> Result<Answer, StoreError> {
    match command {
        Command::StoreSession(record) => edge::store_session(txn, node, &record),
        Command::BeginUp { reason } => edge::begin_up(txn, node, fresh, &reason),
        Command::SetProved { seq } => edge::set_proved(txn, node, seq),
        Command::Hello(hello) => cloud::hello(txn, &hello, fresh),
        Command::Confirm(confirm) => cloud::confirm(txn, node, &confirm),
        Command::Append { direction, session, runs } => {
            if side == Side::Cloud && !cloud::is_current(txn, node, session)? {
                return Ok(Answer::Fenced);
            }
            append(txn, &stream(node, direction), &runs)
        }
        Command::Install { direction, session, base, rows } => {
            if side == Side::Cloud && !cloud::is_current(txn, node, session)? {
                return Ok(Answer::Fenced);
            }
            install(txn, &stream(node, direction), base, rows)
        }
        Command::Reconcile { session, rows } => {
            if !cloud::is_current(txn, node, session)? {
                return Ok(Answer::Fenced);
            }
            cloud::reconcile(txn, node, fresh, rows)
        }
        Command::Snapshot => cloud::snapshot(txn, node),
        Command::Refold { direction } => {
            txn.refold(&stream(node, direction))?;
            Ok(Answer::Done)
        }
    }
}

fn append<S: Store>(txn: &mut Txn<'_, S>, stream: &StreamId, runs: &[Run]) -> Result<Answer, StoreError> {
    for run in runs {
        txn.append_run(stream, run)?;
    }
    head(txn, stream)
}

fn install<S: Store>(
    txn: &mut Txn<'_, S>,
    stream: &StreamId,
    base: Base,
    rows: Vec<Row>,
) -> Result<Answer, StoreError> {
    let beyond = |here: crate::log::StreamHead| here.base.log_id == base.log_id && here.tail > base.seq;
    // A base never takes back events of its own log.
    if !txn.head(stream).is_some_and(beyond) {
        txn.begin(stream, base, rows)?;
    }
    head(txn, stream)
}

fn head<S: Store>(txn: &mut Txn<'_, S>, stream: &StreamId) -> Result<Answer, StoreError> {
    let head = txn.head(stream).ok_or_else(|| StoreError::NoStream(stream.clone()))?;
    Ok(Answer::Head { seq: head.tail, chain: head.chain })
}

/// The stream of a direction, for callers outside.
#[must_use]
pub fn stream_of(node: &NodeName, direction: Direction) -> StreamId {
    stream(node, direction)
}
