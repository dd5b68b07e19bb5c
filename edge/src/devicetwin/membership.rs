//! Which devices the node has: asked for, and told when it changes. Appends nothing.

use ledge_core::view::up::StateRow;
use ledge_schemas::{DeviceName, NodeName};
use serde_json::{Map, Value, json};

use super::payload::{Head, Unreadable};
use super::{Now, Rejected, Reply, reply, topic};

/// A device and its state, as [`super::device::list`] gives them.
pub type Member = (DeviceName, Option<StateRow>);

/// Answers a message on `N/membership/get`.
pub fn answer(node: &NodeName, devices: &[Member], payload: &[u8], now: &Now) -> Result<Reply, Rejected> {
    let topic = topic::membership_result(node);
    match Head::parse(payload) {
        Ok(head) => {
            let payload = json!({"event_id": head.event_id, "timestamp": now.ms, "devices": shown(devices)});
            Ok(Reply::new(topic, &payload))
        }
        Err(Unreadable { event_id, rejection }) => Err(Rejected::new(topic, &event_id, now, rejection)),
    }
}

/// Tells that devices came or left; `None` if none did.
#[must_use]
pub fn updated(node: &NodeName, added: &[Member], removed: &[Member], now: &Now) -> Option<Reply> {
    if added.is_empty() && removed.is_empty() {
        return None;
    }
    let payload = json!({
        "event_id": now.fresh_id,
        "timestamp": now.ms,
        "added_devices": shown(added),
        "removed_devices": shown(removed),
    });
    Some(Reply::new(topic::membership_updated(node), &payload))
}

/// Devices without their twins. A v1beta1 device has neither description nor attributes, and what
/// is empty is left out.
fn shown(devices: &[Member]) -> Vec<Value> {
    let device = |(name, state): &Member| {
        let mut shown = Map::new();
        shown.insert("id".into(), json!(name.to_string()));
        shown.insert("name".into(), json!(name.name));
        if let Some(state) = state {
            shown.insert("state".into(), json!(state.state));
            if state.last_online_ms > 0 {
                shown.insert("last_online".into(), json!(reply::rfc3339(state.last_online_ms)));
            }
        }
        Value::Object(shown)
    };
    devices.iter().map(device).collect()
}
