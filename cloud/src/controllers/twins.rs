//! What a DeviceStatus shows of a device, computed from the rows of its node. Pure.

use std::collections::BTreeMap;

use ledge_core::Digest;
use ledge_core::view::row;
use ledge_core::view::up::{StateRow, TwinRow};
use ledge_schemas::{CodecError, Epoch, Position, Seq};
use serde_json::{Map, Value, json};

use crate::clock;

/// The status of a device.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Status {
    /// What is visible of it, without `extensions`.
    visible: Value,
    observed: Position,
    edge_time_ms: u64,
}

impl Status {
    /// From the device's twin rows by property name and its state row; `None` if it said nothing yet.
    pub(super) fn of(
        epoch: Epoch,
        twins: &BTreeMap<String, Vec<u8>>,
        state: Option<&[u8]>,
    ) -> Result<Option<Self>, CodecError> {
        let mut observed = Seq::ZERO;
        let mut edge_time_ms = 0;
        let mut shown = Vec::new();
        for (name, bytes) in twins {
            let (seq, row): (Seq, TwinRow) = row::decode(bytes)?;
            (observed, edge_time_ms) = (observed.max(seq), edge_time_ms.max(row.edge_time_ms));
            if !row.deleted {
                shown.push(twin(name, &row));
            }
        }
        let state: Option<(Seq, StateRow)> = state.map(row::decode).transpose()?;
        if twins.is_empty() && state.is_none() {
            return Ok(None);
        }
        let mut visible = json!({ "twins": shown });
        if let Some((seq, row)) = state {
            (observed, edge_time_ms) = (observed.max(seq), edge_time_ms.max(row.edge_time_ms));
            visible["state"] = json!(row.state);
            if row.last_online_ms > 0 {
                visible["lastOnlineTime"] = json!(clock::rfc3339(row.last_online_ms));
            }
        }
        Ok(Some(Self { visible, observed: Position { epoch, seq: observed }, edge_time_ms }))
    }

    /// Equal for equal visible parts.
    pub(super) fn digest(&self) -> Digest {
        digest(&self.visible)
    }

    /// As a merge patch of `status`: what is not said any more is taken out.
    pub(super) fn patch(&self) -> Value {
        let mut status = self.visible.clone();
        for field in ["state", "lastOnlineTime"] {
            if status.get(field).is_none() {
                status[field] = Value::Null;
            }
        }
        status["extensions"] = json!({ "ledge": {
            "observedPosition": self.observed.to_string(),
            "edgeTime": clock::rfc3339_ms(self.edge_time_ms),
        } });
        status
    }
}

/// The digest of the visible part of a stored `status`.
pub(super) fn digest_of_stored(status: &Value) -> Digest {
    let mut visible = status.clone();
    if let Some(fields) = visible.as_object_mut() {
        fields.remove("extensions");
    }
    digest(&visible)
}

fn digest(visible: &Value) -> Digest {
    Digest::of([(&b"status"[..], visible.to_string().as_bytes())])
}

fn twin(name: &str, row: &TwinRow) -> Value {
    let mut twin = json!({ "propertyName": name });
    if let Some(actual) = &row.actual {
        twin["reported"] = value(&actual.value, actual.timestamp_ms, &row.value_type);
    }
    if let Some(expected) = row.expected.as_ref().filter(|expected| !expected.value.is_empty()) {
        twin["observedDesired"] = value(&expected.value, expected.timestamp_ms, &row.value_type);
    }
    twin
}

fn value(value: &str, timestamp_ms: u64, value_type: &str) -> Value {
    let mut metadata = Map::from_iter([("timestamp".to_owned(), json!(timestamp_ms.to_string()))]);
    if !value_type.is_empty() {
        metadata.insert("type".to_owned(), json!(value_type));
    }
    json!({ "value": value, "metadata": metadata })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use ledge_schemas::kinds::up::{Change, TwinValue};

    use super::*;

    fn reported(seq: u64, value: &str, at: u64) -> Vec<u8> {
        let actual = Some(TwinValue { value: value.to_owned(), timestamp_ms: at });
        let change = Change::Set { expected: None, actual, optional: None, value_type: "int".to_owned() };
        row::encode(Seq(seq), &TwinRow::after(None, &change, Position::default(), at).unwrap()).unwrap()
    }

    #[test]
    fn a_status_shows_the_values_and_where_they_come_from() {
        let twins = BTreeMap::from([
            ("b".to_owned(), reported(7, "2", 1_000)),
            ("a".to_owned(), reported(5, "1", 500)),
        ]);
        let state = StateRow { state: "online".to_owned(), last_online_ms: 61_000, edge_time_ms: 900 };
        let state = row::encode(Seq(6), &state).unwrap();
        let status = Status::of(Epoch(2), &twins, Some(&state)).unwrap().unwrap();
        assert_eq!(
            status.patch(),
            json!({
                "twins": [
                    { "propertyName": "a", "reported": { "value": "1", "metadata": { "timestamp": "500", "type": "int" } } },
                    { "propertyName": "b", "reported": { "value": "2", "metadata": { "timestamp": "1000", "type": "int" } } },
                ],
                "state": "online",
                "lastOnlineTime": "1970-01-01T00:01:01Z",
                "extensions": { "ledge": { "observedPosition": "2:7", "edgeTime": "1970-01-01T00:00:01.000Z" } },
            })
        );
    }

    #[test]
    fn the_same_values_again_are_nothing_to_write() {
        let status =
            |seq| Status::of(Epoch(1), &BTreeMap::from([("a".to_owned(), reported(seq, "1", 9))]), None);
        let (one, two) = (status(1).unwrap().unwrap(), status(2).unwrap().unwrap());
        assert_eq!(one.digest(), two.digest());
        assert_ne!(one.patch(), two.patch());
        let mut stored = one.patch();
        ["state", "lastOnlineTime"]
            .iter()
            .for_each(|field| drop(stored.as_object_mut().unwrap().remove(*field)));
        assert_eq!(digest_of_stored(&stored), two.digest());
    }

    #[test]
    fn a_device_that_said_nothing_has_no_status() {
        assert_eq!(Status::of(Epoch(1), &BTreeMap::new(), None), Ok(None));
    }
}
