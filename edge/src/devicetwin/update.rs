//! `twin/update`: one message changes all that it names, or nothing.

use std::collections::BTreeMap;

use ledge_core::view::effective::{Property, Reported};
use ledge_core::view::up::TwinRow;
use ledge_schemas::kinds::up::{Change, PropertyChange, TwinChanged, TwinValue};
use ledge_schemas::{DeviceName, Seq};
use serde_json::{Map, Value, json};

use super::device::{Device, PROPERTIES};
use super::payload::{Patch, Unreadable, Update};
use super::value::{DEFAULT_TYPE, check_type, check_value};
use super::{Ask, Now, Rejected, Rejection, Reply, reply, topic};

/// An update that is taken. The event first; the replies when it is durable, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// To append, keyed by the device. `None`: nothing changed, and there is nothing to append.
    pub event: Option<TwinChanged>,
    /// What the update set, to the sender.
    pub result: Reply,
    /// Before and after of each changed property.
    pub document: Option<Reply>,
    /// What the device is still to change.
    pub delta: Option<Reply>,
}

/// Decides a message on `D/twin/update`. `device` is `None` if this node has no such device.
///
/// When it is taken, `device` is left as it will be once the event is applied, so that the next
/// update can be decided before the rows are there; only the seqs of its changed properties are zero
/// until it is loaded again. When it is refused, `device` is as it was. Whoever keeps devices drops
/// one when an append of it fails and when `down` changed it.
pub fn decide(
    name: &DeviceName,
    device: Option<&mut Device>,
    payload: &[u8],
    now: &Now,
) -> Result<Accepted, Rejected> {
    match Update::parse(payload) {
        Ok(update) => apply(name, device, &update, now),
        Err(Unreadable { event_id, rejection }) => Err(rejected(name, &event_id, now, rejection)),
    }
}

/// Decides an update that has been read: a message's, or a driver's report.
pub fn apply(
    name: &DeviceName,
    device: Option<&mut Device>,
    update: &Update,
    now: &Now,
) -> Result<Accepted, Rejected> {
    let answer = match device {
        Some(device) => accept(device, update, now),
        None => Err(Rejection::NoDevice(name.to_string())),
    };
    answer.map_err(|rejection| rejected(name, &update.head.event_id, now, rejection))
}

fn rejected(name: &DeviceName, event_id: &str, now: &Now, rejection: Rejection) -> Rejected {
    Rejected::new(Ask::TwinUpdate.result_topic(name), event_id, now, rejection)
}

fn accept(device: &mut Device, update: &Update, now: &Now) -> Result<Accepted, Rejection> {
    let timestamp_ms = update.head.timestamp_ms.unwrap_or(now.ms);
    let mut changes = BTreeMap::new();
    for (name, patch) in &update.twin {
        let row = device.properties.get(name).and_then(|p| p.reported.as_ref()).map(|r| &r.row);
        if let Some(change) = change(name, row, patch.as_ref(), timestamp_ms)? {
            changes.insert(name.as_str(), change);
        }
    }
    let known = |name: &&&str| device.properties.get(**name).is_some_and(|p| p.reported.is_some());
    let rows = device.properties.values().filter(|p| p.reported.is_some()).count();
    let count = rows + changes.len() - changes.keys().filter(known).count();
    if count > PROPERTIES {
        return Err(Rejection::TooMany { count, limit: PROPERTIES });
    }
    let mut document: Vec<_> = changes.keys().map(|name| (*name, shown(device, name), Value::Null)).collect();
    become_changed(device, &changes, now);
    for (name, _, current) in &mut document {
        *current = shown(device, name);
    }
    let answer = |topic: String, twin: Map<String, Value>| {
        let payload = json!({"event_id": update.head.event_id, "timestamp": now.ms, "twin": twin});
        Reply::new(topic, &payload)
    };
    let result = changes.iter().map(|(name, change)| ((*name).to_owned(), set(change, device, name)));
    let result = answer(Ask::TwinUpdate.result_topic(&device.name), result.collect());
    let delta = reply::delta(device, now);
    if changes.is_empty() {
        return Ok(Accepted { event: None, result, document: None, delta });
    }
    let document = document
        .into_iter()
        .map(|(name, last, current)| (name.to_owned(), json!({"last": last, "current": current})));
    let document = Some(answer(topic::document(&device.name), document.collect()));
    let changes = changes.into_iter().map(|(name, change)| PropertyChange { name: name.to_owned(), change });
    let event = Some(TwinChanged { event_id: update.head.event_id.clone(), changes: changes.collect() });
    Ok(Accepted { event, result, document, delta })
}

fn shown(device: &Device, property: &str) -> Value {
    device.properties.get(property).map_or(Value::Null, reply::property)
}

/// What becomes of one property; `None` if nothing does.
fn change(
    name: &str,
    row: Option<&TwinRow>,
    patch: Option<&Patch>,
    timestamp_ms: u64,
) -> Result<Option<Change>, Rejection> {
    let Some(patch) = patch else {
        let row = row.ok_or_else(|| Rejection::NothingToDelete(name.to_owned()))?;
        return Ok((row.optional && !row.deleted).then_some(Change::Delete));
    };
    let live = row.filter(|row| !row.deleted);
    let value_type = match (live, patch.value_type.as_deref()) {
        // The type of a property that is there stays, whatever the message says.
        (Some(row), _) => row.value_type.as_str(),
        (None, None | Some("")) => DEFAULT_TYPE,
        (None, Some(given)) => {
            check_type(name, given)?;
            given
        }
    };
    for text in [&patch.expected, &patch.actual].into_iter().flatten() {
        check_value(name, value_type, text)?;
    }
    let value = |text: &Option<String>| text.clone().map(|value| TwinValue { value, timestamp_ms });
    let mandatory = patch.optional == Some(false) && row.is_none_or(|row| row.optional);
    // Every report is a fact of its own, even if it repeats the last one.
    let says = patch.expected.is_some() || patch.actual.is_some() || live.is_none() || mandatory;
    Ok(says.then(|| Change::Set {
        expected: value(&patch.expected),
        actual: value(&patch.actual),
        optional: patch.optional,
        value_type: value_type.to_owned(),
    }))
}

/// Makes the device what the view will make of it when the event is applied.
fn become_changed(device: &mut Device, changes: &BTreeMap<&str, Change>, now: &Now) {
    for (name, change) in changes {
        let property: &mut Property = device.properties.entry((*name).to_owned()).or_default();
        let old = property.reported.take();
        let row = TwinRow::after(old.as_ref().map(|old| &old.row), change, device.seen, now.ms);
        // Its seq is given by the append; nothing that is shown depends on it.
        property.reported = row.map(|row| Reported { at: Seq::ZERO, row }).or(old);
    }
}

/// What a change set, as `result` shows it.
fn set(change: &Change, device: &Device, property: &str) -> Value {
    let row = device.properties.get(property).and_then(Property::live);
    let (Change::Set { expected, actual, .. }, Some(row)) = (change, row) else {
        return Value::Null;
    };
    let mut shown = Map::new();
    for (side, value) in [("expected", expected), ("actual", actual)] {
        if let Some(TwinValue { value, timestamp_ms }) = value {
            shown.insert(side.into(), reply::value(value, Some(*timestamp_ms)));
        }
    }
    shown.insert("optional".into(), json!(row.optional));
    shown.insert("metadata".into(), json!({"type": row.value_type}));
    Value::Object(shown)
}
