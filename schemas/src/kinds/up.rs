//! `up/<node>`: what the node did and saw. Key: the device `<namespace>/<name>`, or the topic.

use bincode::{Decode, Encode};

/// The edge process started on this log.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct EdgeStarted {
    /// Version of the binary.
    pub version: String,
}

/// Properties of a device's twin changed by a local update; all of one message, or none.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwinChanged {
    /// The message's own `event_id`, for people. Never used to recognise duplicates.
    pub event_id: String,
    /// Changed properties in ascending order of their names.
    pub changes: Vec<PropertyChange>,
}

/// One property of a [`TwinChanged`].
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct PropertyChange {
    /// Property name, as in the MQTT message's `twin` object.
    pub name: String,
    /// What is to become of it.
    pub change: Change,
}

/// What becomes of a twin property.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub enum Change {
    /// Values given are set, the others stay.
    Set {
        /// Wanted value, set locally.
        expected: Option<TwinValue>,
        /// Value that the device reports.
        actual: Option<TwinValue>,
        /// `false` makes the property mandatory for good.
        optional: Option<bool>,
        /// Type name after the change: string, int, float, boolean …
        value_type: String,
    },
    /// The property becomes a tombstone.
    Delete,
}

/// A value of a twin property.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct TwinValue {
    /// The text as sent.
    pub value: String,
    /// Unix milliseconds: the message's own timestamp, else the edge's clock when it came in.
    pub timestamp_ms: u64,
}

/// A device reported its state.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeviceState {
    /// online, offline, ok, unknown, unhealthy: as sent.
    pub state: String,
    /// Unix milliseconds at which it was last seen online, 0 for never.
    pub last_online_ms: u64,
}

/// The device left this node; its reported rows go.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct DeviceForgotten {}

/// A message on a logged topic that is not a twin's.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Message {
    /// Topic as published.
    pub topic: String,
    /// Payload as published.
    pub payload: Vec<u8>,
}

/// Admission of a class of appends changed.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct AdmissionChanged {
    /// telemetry, state.
    pub class: String,
    /// Whether appends of this class are taken.
    pub open: bool,
    /// Bytes that the log used when this was decided.
    pub used_bytes: u64,
    /// Bytes that it may use.
    pub budget_bytes: u64,
}

/// The edge began a new log, because its old one could not be continued.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct LogBegun {
    /// Why, for people.
    pub reason: String,
}

super::kinds! {
    200 "edge-started" EdgeStarted,
    201 "twin-changed" TwinChanged,
    202 "device-state" DeviceState,
    203 "device-forgotten" DeviceForgotten,
    204 "message" Message,
    205 "admission-changed" AdmissionChanged,
    206 "log-begun" LogBegun,
}
