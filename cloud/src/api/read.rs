//! Reading the API's objects from rows.

use std::collections::BTreeMap;
use std::sync::Arc;

use ledge_core::log::{Reader, StoreError};
use ledge_core::view::cluster::OBJECT;
use ledge_core::view::row;
use ledge_kube_api::store::{self, Listing, ObjectKey, Stored};
use ledge_schemas::{Epoch, Position, Seq, StreamId};
use serde_json::Value;

use super::key::object_key;

/// Rows read at once.
const PAGE: usize = 1024;

/// As the API answers a failed read.
pub(super) fn unavailable(error: StoreError) -> store::StoreError {
    store::StoreError::Unavailable { reason: error.to_string() }
}

fn corrupt(place: impl std::fmt::Display, why: impl std::fmt::Display) -> StoreError {
    StoreError::Corrupt { place: format!("cluster {place}"), why: why.to_string() }
}

/// An object from its row.
pub(super) fn stored(epoch: Epoch, key: &[u8], bytes: &[u8]) -> Result<Stored, StoreError> {
    let place = || String::from_utf8_lossy(key).into_owned();
    let (seq, body) = row::split(bytes).map_err(|error| corrupt(place(), error))?;
    let object: Value = serde_json::from_slice(body).map_err(|error| corrupt(place(), error))?;
    Ok(Stored { object: Arc::new(object), revision: Position { epoch, seq }.revision() })
}

/// Where the stream stands.
pub(super) fn tail<R: Reader>(reader: &R) -> Result<Position, StoreError> {
    let head = reader.head(&StreamId::Cluster)?.ok_or(StoreError::NoStream(StreamId::Cluster))?;
    Ok(head.position())
}

/// The rows under a prefix, as they are at one moment; `None` if there was no quiet moment.
pub(super) fn list<R: Reader>(reader: &R, prefix: &[u8]) -> Result<Option<Listing>, StoreError> {
    const ATTEMPTS: usize = 3;
    for _ in 0..ATTEMPTS {
        let before = tail(reader)?;
        let mut rows = BTreeMap::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = reader.rows(&StreamId::Cluster, prefix, after.as_deref(), PAGE)?;
            let Some(last) = page.last() else { break };
            let full = page.len() == PAGE;
            after = Some(last.key.clone());
            rows.extend(page.into_iter().map(|row| (row.key, row.value)));
            if !full {
                break;
            }
        }
        if tail(reader)? == before {
            return listing(before, rows).map(Some);
        }
    }
    Ok(None)
}

/// A listing from its rows.
pub(super) fn listing(at: Position, rows: BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Listing, StoreError> {
    let mut items: Vec<(ObjectKey, Stored)> = Vec::with_capacity(rows.len());
    for (key, value) in rows {
        let text = key.strip_prefix(OBJECT.as_bytes()).and_then(|text| std::str::from_utf8(text).ok());
        let Some(name) = text.and_then(object_key) else {
            return Err(corrupt(String::from_utf8_lossy(&key), "not the key of an object"));
        };
        items.push((name, stored(at.epoch, &key, &value)?));
    }
    items.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Listing { items, revision: at.revision() })
}

/// The object that the event at `seq` wrote; `None` if the event is not kept any more.
pub(super) fn written_at<R: Reader>(reader: &R, seq: Seq) -> Result<Option<Value>, StoreError> {
    use ledge_schemas::kinds::Body;
    use ledge_schemas::kinds::cluster::ObjectWritten;
    let Some(entry) = reader.run_at(&StreamId::Cluster, seq)? else { return Ok(None) };
    let event = entry.run.events().filter_map(Result::ok).find(|(at, _)| *at == seq);
    let body = event.and_then(|(_, event)| ObjectWritten::from_body(event.body).ok());
    Ok(body.and_then(|body| serde_json::from_slice(&body.object).ok()))
}
