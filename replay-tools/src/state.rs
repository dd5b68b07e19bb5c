//! The rows of a stream's view at any moment, folded from its base and log.

use std::collections::BTreeMap;

use ledge_core::journal::fold;
use ledge_core::log::Reader;
use ledge_core::{Chain, Digest};
use ledge_schemas::{LogId, Position, StreamId};
use serde::Serialize;

use crate::at::{self, At};
use crate::error::ReplayError;
use crate::json::Json;
use crate::{decode, time};

/// A view at a moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// Whose view.
    pub stream: StreamId,
    /// Incarnation.
    pub log_id: LogId,
    /// Last event applied.
    pub position: Position,
    /// When that event happened, Unix milliseconds; `None` at a base.
    pub time_ms: Option<u64>,
    /// Digest of the rows.
    pub digest: Digest,
    /// Chain at the end of the run that holds the position.
    pub chain: Chain,
    /// The rows as stored.
    pub rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// A state as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StateRecord {
    /// Whose view.
    pub stream: String,
    /// Incarnation.
    pub log_id: LogId,
    /// `epoch:seq` of the last event applied.
    pub position: String,
    /// When it happened, by its writer's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Digest of all rows, also of those that are not shown.
    pub digest: Digest,
    /// The rows, ascending by key.
    pub rows: Vec<RowRecord>,
}

/// A row as it is shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RowRecord {
    /// Its key.
    pub key: String,
    /// Seq of the event that wrote it; 0: it came with the base.
    pub at: u64,
    /// The decoded row; see [`decode::row`].
    pub value: Json,
}

/// The view over a stream at a moment.
pub fn state_at<R: Reader>(reader: &R, stream: &StreamId, at: At) -> Result<State, ReplayError> {
    let seq = at::locate(reader, stream, at)?;
    let base = at::head(reader, stream)?.base;
    let folded = fold(reader, stream, Some(seq)).map_err(|error| ReplayError::fold(stream, error))?;
    let last = at::event(reader, stream, seq)?;
    Ok(State {
        stream: stream.clone(),
        log_id: base.log_id,
        position: Position { epoch: base.epoch, seq },
        time_ms: last.map(|event| event.hlc.millis()),
        digest: folded.cursor.digest,
        chain: folded.chain,
        rows: folded.rows,
    })
}

impl State {
    /// As it is shown; only rows whose keys begin with `prefix`.
    #[must_use]
    pub fn record(&self, prefix: &str) -> StateRecord {
        let rows = self.rows.range(prefix.as_bytes().to_vec()..);
        let rows = rows.take_while(|(key, _)| key.starts_with(prefix.as_bytes()));
        let shown = |(key, value): (&Vec<u8>, &Vec<u8>)| {
            let (at, shown) = decode::row(&self.stream, key, value);
            RowRecord { key: String::from_utf8_lossy(key).into_owned(), at: at.0, value: shown }
        };
        StateRecord {
            stream: self.stream.to_string(),
            log_id: self.log_id,
            position: self.position.to_string(),
            time: self.time_ms.map(time::rfc3339),
            digest: self.digest,
            rows: rows.map(shown).collect(),
        }
    }
}
