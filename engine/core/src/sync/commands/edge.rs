//! Changes that the edge makes for its session.

use bincode::{Decode, Encode};
use ledge_schemas::kinds::up::LogBegun;
use ledge_schemas::{CodecError, Epoch, LogId, NodeName, Seq, StreamId, codec};

use super::Fresh;
use crate::broken::{self, Bug};
use crate::journal::{Draft, Txn};
use crate::log::{Reader, Store, StoreError};
use crate::sync::Answer;
use crate::view::row;
use crate::{Base, BaseReason, Digest, Row};

/// Local key of the [`SessionRecord`].
pub const SESSION: &str = "sync/session";
/// Local key of the [`Watermarks`].
pub const WATERMARKS: &str = "sync/watermarks";

/// What the edge keeps of its last session.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct SessionRecord {
    /// Highest number that the cloud issued to this store.
    pub number: u64,
    /// Store id of that cloud.
    pub store_id: Option<LogId>,
    /// Epoch that the cloud gave the `up` log.
    pub up_epoch: Epoch,
}

/// How far the cloud has proved to hold a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Watermarks {
    /// Which incarnation of `up`.
    pub log_id: LogId,
    /// Proved through here.
    pub proved: Seq,
}

/// Reads the stored session record.
pub fn session_record<R: Reader>(reader: &R) -> Result<SessionRecord, StoreError> {
    Ok(reader.local(SESSION)?.and_then(|bytes| codec::decode(&bytes).ok()).unwrap_or_default())
}

/// Reads the stored watermark of a log: what the cloud has proved, zero if nothing.
pub fn proved<R: Reader>(reader: &R, log_id: LogId) -> Result<Seq, StoreError> {
    let stored = reader.local(WATERMARKS)?.and_then(|bytes| codec::decode::<Watermarks>(&bytes).ok());
    Ok(stored.filter(|marks| marks.log_id == log_id).map_or(Seq::ZERO, |marks| marks.proved))
}

fn failed(error: CodecError) -> StoreError {
    StoreError::Failed(error.to_string())
}

pub(super) fn store_session<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    record: &SessionRecord,
) -> Result<Answer, StoreError> {
    let up = StreamId::Up(node.clone());
    if txn.head(&up).is_some_and(|head| head.base.epoch != record.up_epoch) {
        txn.bind(&up, record.up_epoch)?;
    }
    txn.set_local(SESSION, Some(codec::encode(record).map_err(failed)?));
    Ok(Answer::Done)
}

pub(super) fn set_proved<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    proved: Seq,
) -> Result<Answer, StoreError> {
    let Some(head) = txn.head(&StreamId::Up(node.clone())) else { return Ok(Answer::Done) };
    let marks = Watermarks { log_id: head.base.log_id, proved };
    txn.set_local(WATERMARKS, Some(codec::encode(&marks).map_err(failed)?));
    Ok(Answer::Done)
}

/// Begins the first `up` log of a new edge.
pub fn begin_first<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName, fresh: Fresh) -> Result<(), StoreError> {
    let base = Base::begin(fresh.log_id, Epoch::PROVISIONAL, Digest::default(), BaseReason::New);
    txn.begin(&StreamId::Up(node.clone()), base, Vec::new())
}

/// Begins a new `up` log whose base is the view as it stands, and says why in its first event.
pub fn begin_up<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    fresh: Fresh,
    reason: &str,
) -> Result<Answer, StoreError> {
    let up = StreamId::Up(node.clone());
    let rows: Vec<Row> = rebased(txn.rows(&up, b"")?);
    let digest = Digest::of(rows.iter().map(|row| (&row.key[..], &row.value[..])));
    let base = Base::begin(fresh.log_id, Epoch::PROVISIONAL, digest, BaseReason::TailLost);
    txn.begin(&up, base, rows)?;
    let begun = LogBegun { reason: reason.to_owned() };
    txn.append(&up, Draft::new("", &begun).map_err(failed)?)?;
    Ok(Answer::Done)
}

/// Trims `up` through the last run boundary that is proved, keeping at least `keep` events.
/// Returns where the log now begins.
pub fn trim_up<S: Store>(txn: &mut Txn<'_, S>, node: &NodeName, keep: u64) -> Result<Seq, StoreError> {
    let up = StreamId::Up(node.clone());
    let Some(head) = txn.head(&up) else { return Ok(Seq::ZERO) };
    let marks = txn.local(WATERMARKS)?.and_then(|bytes| codec::decode::<Watermarks>(&bytes).ok());
    let proved = marks.filter(|marks| marks.log_id == head.base.log_id).map_or(Seq::ZERO, |m| m.proved);
    let proved = if broken::is(Bug::TrimUnproved) { head.tail } else { proved };
    let wanted = Seq(head.tail.0.saturating_sub(keep)).min(proved);
    // The boundary at or below the wanted seq: the run that holds the next event begins after it.
    let boundary = match txn.run_at(&up, wanted.next())? {
        Some(run) => Seq(run.first().0 - 1),
        None => wanted,
    };
    if boundary <= head.base.seq {
        return Ok(head.base.seq);
    }
    txn.trim(&up, boundary)?;
    Ok(boundary)
}

/// Rows for the base of a new log: they belong to its position 0, whatever wrote them before.
pub fn rebased(rows: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<Row> {
    let rebase = |(key, value): (Vec<u8>, Vec<u8>)| {
        let body = row::split(&value).map(|(_, body)| body.to_vec()).unwrap_or_default();
        let mut value = Seq::ZERO.0.to_le_bytes().to_vec();
        value.extend(body);
        Row { key, value }
    };
    rows.into_iter().map(rebase).collect()
}
