//! What streams there are and where they stand.

use ledge_core::log::{Reader, StreamHead};
use ledge_core::{BaseReason, Chain, Digest};
use ledge_schemas::LogId;
use serde::Serialize;

use crate::error::ReplayError;

/// One incarnation of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LogInfo {
    /// Its stream.
    pub stream: String,
    /// Its id.
    pub log_id: LogId,
    /// Its epoch; 0 for provisional.
    pub epoch: u32,
    /// Seq of the base.
    pub base: u64,
    /// Why the base stands there: new, trimmed, tail-lost, reconciled.
    pub reason: &'static str,
    /// Seq of the last event.
    pub head: u64,
    /// Chain at the head.
    pub chain: Chain,
    /// Digest of the view's rows.
    pub digest: Digest,
    /// An earlier incarnation that is only kept to be read.
    pub archived: bool,
}

/// Every stream, ascending; each with its archived incarnations before the current one.
pub fn streams<R: Reader>(reader: &R) -> Result<Vec<LogInfo>, ReplayError> {
    let mut all = Vec::new();
    for stream in reader.streams()? {
        let archived = reader.archived(&stream)?;
        all.extend(archived.iter().map(|head| info(&stream, head, true)));
        all.extend(reader.head(&stream)?.iter().map(|head| info(&stream, head, false)));
    }
    Ok(all)
}

fn info(stream: &ledge_schemas::StreamId, head: &StreamHead, archived: bool) -> LogInfo {
    LogInfo {
        stream: stream.to_string(),
        log_id: head.base.log_id,
        epoch: head.base.epoch.0,
        base: head.base.seq.0,
        reason: match head.base.reason {
            BaseReason::New => "new",
            BaseReason::Trimmed => "trimmed",
            BaseReason::TailLost => "tail-lost",
            BaseReason::Reconciled => "reconciled",
        },
        head: head.tail.0,
        chain: head.chain,
        digest: head.cursor.digest,
        archived,
    }
}
