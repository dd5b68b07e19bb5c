//! What Ledge publishes to devices, in the shapes that their code knows.

use ledge_core::view::effective::Property;
use serde_json::{Map, Value, json};

use super::device::Device;
use super::value::DEFAULT_TYPE;
use super::{Now, topic};

/// A message to publish: QoS 1 is enough, retained never.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// Where.
    pub topic: String,
    /// JSON.
    pub payload: Vec<u8>,
}

impl Reply {
    /// A message with that JSON.
    #[must_use]
    pub fn new(topic: String, payload: &Value) -> Self {
        Self { topic, payload: payload.to_string().into_bytes() }
    }
}

/// A value with its time; the cloud's wishes have none.
#[must_use]
pub(super) fn value(text: &str, timestamp_ms: Option<u64>) -> Value {
    match timestamp_ms {
        Some(ms) => json!({"value": text, "metadata": {"timestamp": ms}}),
        None => json!({"value": text}),
    }
}

/// A property as `twin/get` shows it: `null` for a tombstone. What counts as expected is shown.
#[must_use]
pub fn property(property: &Property) -> Value {
    let live = property.live();
    let expected = property.expected();
    if live.is_none() && expected.is_none() {
        return Value::Null;
    }
    let mut shown = Map::new();
    if let Some(expected) = expected {
        shown.insert("expected".into(), value(expected.value, expected.timestamp_ms));
    }
    if let Some(actual) = property.actual() {
        shown.insert("actual".into(), value(&actual.value, Some(actual.timestamp_ms)));
    }
    let (optional, value_type) = live.map_or((true, DEFAULT_TYPE), |row| (row.optional, &row.value_type));
    shown.insert("optional".into(), json!(optional));
    shown.insert("metadata".into(), json!({"type": value_type}));
    Value::Object(shown)
}

/// What the device is to change; `None` if it reported all that is wanted of it. To be published
/// after an update, and whenever the cloud's wishes for the device changed.
#[must_use]
pub fn delta(device: &Device, now: &Now) -> Option<Reply> {
    let differing = device.properties.iter().filter_map(|(name, of)| Some((name, of.pending()?)));
    let differing: Map<_, _> = differing.map(|(name, wanted)| (name.clone(), json!(wanted))).collect();
    if differing.is_empty() {
        return None;
    }
    let is_wanted = |of: &Property| of.expected().is_some_and(|expected| !expected.value.is_empty());
    let wanted = device.properties.iter().filter(|(_, of)| is_wanted(of));
    let wanted: Map<_, _> = wanted.map(|(name, of)| (name.clone(), property(of))).collect();
    let payload = json!({"event_id": now.fresh_id, "timestamp": now.ms, "twin": wanted, "delta": differing});
    Some(Reply::new(topic::delta(&device.name), &payload))
}

/// RFC 3339 in whole seconds, UTC; empty for 0 and for what no calendar holds.
#[must_use]
pub(super) fn rfc3339(unix_ms: u64) -> String {
    let second = i64::try_from(unix_ms / 1000).ok().filter(|second| *second > 0);
    let time = second.and_then(|second| jiff::Timestamp::from_second(second).ok());
    time.map(|time| time.to_string()).unwrap_or_default()
}
