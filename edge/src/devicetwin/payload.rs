//! Payloads: read, bounded and checked, before anything is decided.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{Rejection, value};

/// Longest message to DeviceTwin. Its event is at most three times as long: every property costs
/// the message more than a third of what it costs the event, which so fits `limits::EVENT_BODY`.
pub const MESSAGE_BYTES: usize = 128 * 1024;
/// Longest `event_id`, in bytes.
const EVENT_ID_BYTES: usize = 256;

/// `event_id` and `timestamp`, which every message may have.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// Chosen by the sender, given back in the answer. Empty if there is none.
    pub event_id: String,
    /// Unix milliseconds; `None` if it is absent, zero or negative.
    pub timestamp_ms: Option<u64>,
}

/// A twin update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Update {
    /// Its id and time.
    pub head: Head,
    /// What becomes of each property; `None` deletes it.
    pub twin: BTreeMap<String, Option<Patch>>,
}

/// What a twin update says of one property.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Patch {
    /// Wanted value. A driver's *observed desired* value comes as this one.
    pub expected: Option<String>,
    /// Reported value.
    pub actual: Option<String>,
    /// Whether it may be deleted.
    pub optional: Option<bool>,
    /// `metadata.type`
    pub value_type: Option<String>,
}

/// A state update.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateReport {
    /// Its id and time.
    pub head: Head,
    /// As sent.
    pub state: String,
}

/// A message that was not read; `event_id` is still given back if it could be found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The sender's, or empty.
    pub event_id: String,
    /// What is wrong.
    pub rejection: Rejection,
}

impl Update {
    /// Reads a `twin/update` message.
    pub fn parse(payload: &[u8]) -> Result<Self, Unreadable> {
        read(payload, |head, body| {
            let twin = match body.get("twin") {
                None | Some(Value::Null) => return Err(Rejection::NoTwin),
                Some(Value::Object(twin)) => twin,
                Some(_) => return Err(malformed("twin is not an object")),
            };
            let patch = |(name, value): (&String, &Value)| Ok((name.clone(), patch(name, value)?));
            Self::new(head, twin.iter().map(patch).collect::<Result<_, Rejection>>()?)
        })
    }

    /// Checks and takes an update from anywhere: names, values, and how many there are.
    pub fn new(head: Head, twin: BTreeMap<String, Option<Patch>>) -> Result<Self, Rejection> {
        for (name, patch) in &twin {
            if !value::is_name(name) {
                return Err(Rejection::Name(clipped(name)));
            }
            let Some(patch) = patch else { continue };
            for (side, text) in [("expected", &patch.expected), ("actual", &patch.actual)] {
                if text.as_ref().is_some_and(|text| !value::is_value(text)) {
                    return Err(Rejection::Value { property: name.clone(), side });
                }
            }
        }
        Ok(Self { head, twin })
    }
}

impl Head {
    /// Reads a `twin/get` or `membership/get` message.
    pub fn parse(payload: &[u8]) -> Result<Self, Unreadable> {
        read(payload, |head, _| Ok(head))
    }
}

impl StateReport {
    /// Reads a `state/update` message.
    pub fn parse(payload: &[u8]) -> Result<Self, Unreadable> {
        read(payload, |head, body| match body.get("state") {
            Some(Value::String(state)) => Ok(Self { head, state: state.clone() }),
            None | Some(Value::Null) => Ok(Self { head, state: String::new() }),
            Some(_) => Err(malformed("state is not a string")),
        })
    }
}

/// What every message has in common; `body` reads the rest.
fn read<T>(
    payload: &[u8],
    body: impl FnOnce(Head, &Map<String, Value>) -> Result<T, Rejection>,
) -> Result<T, Unreadable> {
    let unknown = |rejection| Unreadable { event_id: String::new(), rejection };
    if payload.len() > MESSAGE_BYTES {
        return Err(unknown(Rejection::TooLarge { len: payload.len() }));
    }
    // serde_json stops at 128 levels, so that no nesting exhausts the stack.
    let json: Value = serde_json::from_slice(payload).map_err(|e| unknown(malformed(&e.to_string())))?;
    let object = json.as_object().ok_or_else(|| unknown(malformed("not a JSON object")))?;
    let event_id = event_id(object).map_err(unknown)?;
    let read = timestamp(object).and_then(|timestamp_ms| {
        let head = Head { event_id: event_id.clone(), timestamp_ms };
        body(head, object)
    });
    read.map_err(|rejection| Unreadable { event_id, rejection })
}

fn event_id(object: &Map<String, Value>) -> Result<String, Rejection> {
    match object.get("event_id") {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(id)) if id.len() <= EVENT_ID_BYTES => Ok(id.clone()),
        Some(_) => Err(malformed(&format!("event_id is not a string of at most {EVENT_ID_BYTES} bytes"))),
    }
}

/// Milliseconds; a fraction, which scripts like to send, is dropped.
fn timestamp(object: &Map<String, Value>) -> Result<Option<u64>, Rejection> {
    match object.get("timestamp") {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Number(number)) => {
            let ms = number.as_u64().or_else(|| whole(number.as_f64()?));
            Ok(ms.filter(|ms| *ms > 0 && i64::try_from(*ms).is_ok()))
        }
        Some(_) => Err(malformed("timestamp is not a number of milliseconds")),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range")]
fn whole(number: f64) -> Option<u64> {
    // Largest whole number up to which f64 has no gaps.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    (0.0..=EXACT).contains(&number).then_some(number as u64)
}

fn patch(name: &str, value: &Value) -> Result<Option<Patch>, Rejection> {
    let wrong = |what: &str| malformed(&format!("twin property {:?}: {what}", clipped(name)));
    let object = match value {
        Value::Null => return Ok(None),
        Value::Object(object) => object,
        _ => return Err(wrong("neither an object nor null")),
    };
    let side = |side: &'static str| match object.get(side) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(given)) => match given.get("value") {
            Some(Value::String(text)) => Ok(Some(text.clone())),
            None | Some(Value::Null) => Err(Rejection::NoValue { property: clipped(name), side }),
            Some(_) => Err(wrong(&format!("the value of {side} is not a string; put quotes around it"))),
        },
        Some(_) => Err(wrong(&format!("{side} is not an object with a value"))),
    };
    let optional = match object.get("optional") {
        None | Some(Value::Null) => None,
        Some(Value::Bool(optional)) => Some(*optional),
        Some(_) => return Err(wrong("optional is neither true nor false")),
    };
    let value_type = match object.get("metadata") {
        None | Some(Value::Null) => None,
        Some(Value::Object(metadata)) => match metadata.get("type") {
            None | Some(Value::Null) => None,
            Some(Value::String(value_type)) => Some(clipped(value_type)),
            Some(_) => return Err(wrong("metadata.type is not a string")),
        },
        Some(_) => return Err(wrong("metadata is not an object")),
    };
    Ok(Some(Patch { expected: side("expected")?, actual: side("actual")?, optional, value_type }))
}

fn malformed(why: &str) -> Rejection {
    Rejection::Malformed(why.to_owned())
}

/// As much of a text as an error message should repeat.
pub(super) fn clipped(text: &str) -> String {
    text.chars().take(value::NAME_BYTES).collect()
}
