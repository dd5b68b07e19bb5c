//! DeviceTwin: what a node reported of its devices.
//!
//! ```text
//!   TwinChanged     ──► twin/<ns>/<device>/<property>   TwinRow, one per property named in it
//!   DeviceState     ──► state/<ns>/<device>             StateRow
//!   DeviceForgotten ──► both of that device go
//!   EdgeStarted     ──► edge/info                       InfoRow
//!   Message, AdmissionChanged, LogBegun                 no rows: they are history only
//! ```
//! The seq in front of each row is the position of the last report of it.

mod row;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::up::{
    AdmissionChanged, DeviceForgotten, DeviceState, EdgeStarted, LogBegun, Message, TwinChanged,
};
use ledge_schemas::{DeviceName, EventRef, Position, limits};

pub use row::{InfoRow, LocalExpected, StateRow, TwinRow};

use super::{Applied, Rows, row as bytes};
use crate::log::StoreError;

/// Prefix of the twin rows.
pub const TWIN: &str = "twin/";
/// Prefix of the state rows.
pub const STATE: &str = "state/";
/// Key of the one row about the edge process.
pub const INFO: &str = "edge/info";

/// Prefix of a device's twin rows; the rest of the key is the property's name, which may hold `/`.
#[must_use]
pub fn twin_prefix(device: &DeviceName) -> String {
    format!("{TWIN}{device}/")
}

/// Key of a property's row.
#[must_use]
pub fn twin_key(device: &DeviceName, property: &str) -> Vec<u8> {
    format!("{TWIN}{device}/{property}").into_bytes()
}

/// Key of a device's state row.
#[must_use]
pub fn state_key(device: &DeviceName) -> Vec<u8> {
    format!("{STATE}{device}").into_bytes()
}

/// See [`super::apply`].
pub fn apply(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    match event.kind {
        TwinChanged::KIND => twin_changed(rows, at, event),
        DeviceState::KIND => device_state(rows, at, event),
        DeviceForgotten::KIND => device_forgotten(rows, event),
        EdgeStarted::KIND => edge_started(rows, at, event),
        Message::KIND => Ok(no_rows::<Message>(event)),
        AdmissionChanged::KIND => Ok(no_rows::<AdmissionChanged>(event)),
        LogBegun::KIND => Ok(no_rows::<LogBegun>(event)),
        _ => Ok(Applied::Unknown),
    }
}

/// All properties of the event change, or, if it cannot be applied whole, none.
fn twin_changed(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let Some((device, body)) = read::<TwinChanged>(event) else { return Ok(Applied::Poison) };
    let mut changed: BTreeMap<Vec<u8>, TwinRow> = BTreeMap::new();
    for change in &body.changes {
        let key = twin_key(&device, &change.name);
        if change.name.is_empty() || key.len() > limits::EVENT_KEY {
            return Ok(Applied::Poison);
        }
        let stored = if changed.contains_key(&key) { None } else { twin_row(rows, &key)? };
        let old = changed.get(&key).or(stored.as_ref());
        let seen = event.seen.unwrap_or_default();
        if let Some(new) = TwinRow::after(old, &change.change, seen, event.hlc.millis()) {
            changed.insert(key, new);
        }
    }
    let encoded: Result<Vec<_>, _> =
        changed.into_iter().map(|(key, row)| Ok((key, bytes::encode(at.seq, &row)?))).collect();
    let Ok(encoded): Result<_, ledge_schemas::CodecError> = encoded else { return Ok(Applied::Poison) };
    for (key, value) in encoded {
        rows.put(key, value)?;
    }
    Ok(Applied::Done)
}

fn twin_row(rows: &mut dyn Rows, key: &[u8]) -> Result<Option<TwinRow>, StoreError> {
    let Some(value) = rows.get(key)? else { return Ok(None) };
    let (_, row) = bytes::decode(&value).map_err(|why| StoreError::Corrupt {
        place: format!("row {}", String::from_utf8_lossy(key)),
        why: why.to_string(),
    })?;
    Ok(Some(row))
}

fn device_state(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let Some((device, body)) = read::<DeviceState>(event) else { return Ok(Applied::Poison) };
    let row =
        StateRow { state: body.state, last_online_ms: body.last_online_ms, edge_time_ms: event.hlc.millis() };
    put(rows, at, state_key(&device), &row)
}

fn device_forgotten(rows: &mut dyn Rows, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let Some((device, DeviceForgotten {})) = read(event) else { return Ok(Applied::Poison) };
    for key in rows.keys(twin_prefix(&device).as_bytes())? {
        rows.delete(key)?;
    }
    rows.delete(state_key(&device))?;
    Ok(Applied::Done)
}

fn edge_started(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let Ok(body) = EdgeStarted::from_body(event.body) else { return Ok(Applied::Poison) };
    let row = InfoRow { version: body.version, started_ms: event.hlc.millis() };
    put(rows, at, INFO.as_bytes().to_vec(), &row)
}

fn put<T: bincode::Encode>(
    rows: &mut dyn Rows,
    at: Position,
    key: Vec<u8>,
    row: &T,
) -> Result<Applied, StoreError> {
    let Ok(value) = bytes::encode(at.seq, row) else { return Ok(Applied::Poison) };
    rows.put(key, value)?;
    Ok(Applied::Done)
}

/// The device that an event's key names, and the event's body.
fn read<T: Body>(event: &EventRef<'_>) -> Option<(DeviceName, T)> {
    Some((event.key.parse().ok()?, T::from_body(event.body).ok()?))
}

fn no_rows<T: Body>(event: &EventRef<'_>) -> Applied {
    if T::from_body(event.body).is_ok() { Applied::Done } else { Applied::Poison }
}
