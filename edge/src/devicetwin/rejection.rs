//! Why a message is answered with an error, and that answer.

use serde_json::json;

use super::reply::Reply;
use super::value::{NAME_BYTES, VALUE_BYTES};
use super::{Now, payload};

/// Why a message is not taken. Its text goes to the sender as `reason`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    /// Too many bytes.
    #[error("message of {len} bytes is over the limit of {limit}: split it", limit = payload::MESSAGE_BYTES)]
    TooLarge {
        /// Bytes of the message.
        len: usize,
    },
    /// Not the JSON that the topic takes.
    #[error("Unmarshal update request body failed, please check the request: {0}")]
    Malformed(String),
    /// An update without `twin`.
    #[error("Update twin error, key:twin does not exist")]
    NoTwin,
    /// A property name that cannot be one.
    #[error(
        "twin property {0:?}: a name is 1 to {NAME_BYTES} letters, digits and - _ . , : / @ #, without spaces"
    )]
    Name(String),
    /// A value that cannot be one.
    #[error(
        "{side} of property {property:?}: a value is at most {VALUE_BYTES} letters, digits and \
         - _ . , : / @ #, without spaces"
    )]
    Value {
        /// Which property.
        property: String,
        /// expected or actual.
        side: &'static str,
    },
    /// `expected` or `actual` without `value`.
    #[error("{side} of property {property:?} has no value; leave {side} out, or send {{\"value\":\"…\"}}")]
    NoValue {
        /// Which property.
        property: String,
        /// expected or actual.
        side: &'static str,
    },
    /// The text does not read as the property's type.
    #[error("property {property:?}: {wanted}, but {value:?}")]
    Misfit {
        /// Which property.
        property: String,
        /// Its new value.
        value: String,
        /// What it had to be.
        wanted: &'static str,
    },
    /// A type that properties do not have.
    #[error(
        "property {property:?}: the value type is not allowed: {value_type:?} is none of string, int, \
         integer, float, boolean"
    )]
    Type {
        /// Which property.
        property: String,
        /// Its type in the message.
        value_type: String,
    },
    /// The type that marks tombstones, sent by a client.
    #[error("property {property:?}: type deleted is not for messages; send null to delete a property")]
    Tombstone {
        /// Which property.
        property: String,
    },
    /// `null` for a property that is not there.
    #[error("property {0:?} cannot be deleted: this device has reported none of that name")]
    NothingToDelete(String),
    /// More properties than a device may have, tombstones included.
    #[error("a device may have {limit} properties, deleted ones included; this update would make {count}")]
    TooMany {
        /// How many there would be.
        count: usize,
        /// How many there may be.
        limit: usize,
    },
    /// The node has no such device.
    #[error("update rejected due to the device is not existed: {0} is not a device of this node")]
    NoDevice(String),
    /// The node has no such device, asked for its twin.
    #[error("Device {0} not found while getting twin: it is not a device of this node")]
    NoTwinOf(String),
    /// A state that is none.
    #[error("state {0:?} is none of online, offline, ok, unknown, unhealthy")]
    State(String),
    /// What was decided could not be made durable.
    #[error("not stored: {0}")]
    NotStored(String),
}

impl Rejection {
    /// 400, 404 or 500.
    #[must_use]
    pub fn code(&self) -> u16 {
        match self {
            Self::NoDevice(_) | Self::NoTwinOf(_) => 404,
            Self::NotStored(_) => 500,
            _ => 400,
        }
    }
}

/// A message that changed nothing, and what its sender is told.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rejection}")]
pub struct Rejected {
    /// Why.
    pub rejection: Rejection,
    /// To the sender's own result topic.
    pub reply: Reply,
}

impl Rejected {
    /// `event_id` is the message's own, empty if it could not be read.
    #[must_use]
    pub fn new(topic: String, event_id: &str, now: &Now, rejection: Rejection) -> Self {
        let payload = json!({
            "event_id": event_id,
            "timestamp": now.ms,
            "code": rejection.code(),
            "reason": rejection.to_string(),
        });
        Self { rejection, reply: Reply::new(topic, &payload) }
    }
}
