//! What a node did and saw.

use ledge_schemas::kinds::up::{
    AdmissionChanged, Change, DeviceState, EdgeStarted, Message, PropertyChange, TwinChanged, TwinValue,
};

use crate::json::Fields;
use crate::time::rfc3339;

pub(super) fn edge_started(body: EdgeStarted) -> Fields {
    Fields::default().with("version", &body.version)
}

pub(super) fn twin_changed(body: TwinChanged) -> Fields {
    let changes: Vec<Fields> = body.changes.iter().map(property).collect();
    Fields::default().with("eventId", &body.event_id).with("changes", &changes)
}

fn property(change: &PropertyChange) -> Fields {
    let fields = Fields::default().with("name", &change.name);
    match &change.change {
        Change::Set { expected, actual, optional, value_type } => fields
            .maybe("expected", expected.as_ref().map(value).as_ref())
            .maybe("actual", actual.as_ref().map(value).as_ref())
            .maybe("optional", optional.as_ref())
            .with("type", value_type),
        Change::Delete => fields.with("deleted", &true),
    }
}

pub(super) fn value(value: &TwinValue) -> Fields {
    Fields::default().with("value", &value.value).with("time", &rfc3339(value.timestamp_ms))
}

pub(super) fn device_state(body: DeviceState) -> Fields {
    state(&body.state, body.last_online_ms)
}

pub(super) fn state(state: &str, last_online_ms: u64) -> Fields {
    let online = (last_online_ms > 0).then(|| rfc3339(last_online_ms));
    Fields::default().with("state", &state).maybe("lastOnline", online.as_ref())
}

pub(super) fn message(body: Message) -> Fields {
    let fields = Fields::default().with("topic", &body.topic);
    match String::from_utf8(body.payload) {
        Ok(text) => fields.with("payload", &text),
        Err(bytes) => fields.with("payloadHex", &hex::encode(bytes.as_bytes())),
    }
}

pub(super) fn admission_changed(body: AdmissionChanged) -> Fields {
    let AdmissionChanged { class, open, used_bytes, budget_bytes } = body;
    let fields = Fields::default().with("class", &class).with("open", &open);
    fields.with("usedBytes", &used_bytes).with("budgetBytes", &budget_bytes)
}
