//! MetaManager: the node's objects, and per device property what the cloud desires of it.
//!
//! - `object/<key>`: the projection's JSON.
//! - `desired/<ns>/<device>/<property>`: [`Desired`]; rewritten only when the value differs, so its
//!   seq says when the wish last changed.

use bincode::{Decode, Encode};
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved};
use ledge_schemas::projection::{DEVICES_GROUP, ObjectKey};
use ledge_schemas::{EventRef, Position};
use serde_json::Value;
use std::collections::BTreeMap;

use super::{Applied, Rows, row};
use crate::log::StoreError;

/// Prefix of the object rows.
pub const OBJECT: &str = "object/";
/// Prefix of the desired rows.
pub const DESIRED: &str = "desired/";

/// What the cloud wants a property to be.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Desired {
    /// `spec.properties[].desired.value`.
    pub value: String,
}

/// Key of an object's row.
#[must_use]
pub fn object_key(key: &str) -> Vec<u8> {
    format!("{OBJECT}{key}").into_bytes()
}

/// Prefix of a device's desired rows.
#[must_use]
pub fn desired_prefix(namespace: &str, name: &str) -> String {
    format!("{DESIRED}{namespace}/{name}/")
}

/// See [`super::apply`].
pub fn apply(rows: &mut dyn Rows, at: Position, event: &EventRef<'_>) -> Result<Applied, StoreError> {
    let wanted = if event.kind == ObjectPut::KIND {
        let Ok(put) = ObjectPut::from_body(event.body) else { return Ok(Applied::Poison) };
        let mut row = at.seq.0.to_le_bytes().to_vec();
        row.extend(&put.object);
        rows.put(object_key(event.key), row)?;
        desired_values(&put.object)
    } else if event.kind == ObjectRemoved::KIND {
        if ObjectRemoved::from_body(event.body).is_err() {
            return Ok(Applied::Poison);
        }
        rows.delete(object_key(event.key))?;
        BTreeMap::new()
    } else {
        return Ok(Applied::Unknown);
    };
    match event.key.parse::<ObjectKey>() {
        Ok(key) if key.group == DEVICES_GROUP && key.plural == "devices" => {
            let prefix = desired_prefix(&key.namespace, &key.name);
            set_desired(rows, at, &prefix, &wanted)?;
        }
        _ => {}
    }
    Ok(Applied::Done)
}

/// Property name → desired value of a Device's JSON. Properties without a desired value have no row.
fn desired_values(object: &[u8]) -> BTreeMap<String, String> {
    let object: Value = serde_json::from_slice(object).unwrap_or(Value::Null);
    let properties = object.pointer("/spec/properties").and_then(Value::as_array);
    let pair = |property: &Value| {
        let name = property.get("name")?.as_str()?;
        let value = property.pointer("/desired/value")?.as_str()?;
        (!value.is_empty()).then(|| (name.to_owned(), value.to_owned()))
    };
    properties.into_iter().flatten().filter_map(pair).collect()
}

fn set_desired(
    rows: &mut dyn Rows,
    at: Position,
    prefix: &str,
    wanted: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    for key in rows.keys(prefix.as_bytes())? {
        let name = key.get(prefix.len()..).and_then(|name| std::str::from_utf8(name).ok());
        if !name.is_some_and(|name| wanted.contains_key(name)) {
            rows.delete(key)?;
        }
    }
    for (name, value) in wanted {
        let key = format!("{prefix}{name}").into_bytes();
        let wish = Desired { value: value.clone() };
        let same = rows.get(&key)?.is_some_and(|old| row::decode(&old).is_ok_and(|(_, d)| wish == d));
        if !same && let Ok(bytes) = row::encode(at.seq, &wish) {
            rows.put(key, bytes)?;
        }
    }
    Ok(())
}
