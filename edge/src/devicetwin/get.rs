//! `twin/get`: the whole twin. Appends nothing.

use ledge_schemas::DeviceName;
use serde_json::{Map, Value, json};

use super::device::Device;
use super::payload::{Head, Unreadable};
use super::{Ask, Now, Rejected, Rejection, Reply, reply};

/// Answers a message on `D/twin/get`: every property, tombstones as `null`, and those that only the
/// cloud knows of with what it expects. `device` is `None` if this node has no such device.
pub fn answer(
    name: &DeviceName,
    device: Option<&Device>,
    payload: &[u8],
    now: &Now,
) -> Result<Reply, Rejected> {
    let topic = Ask::TwinGet.result_topic(name);
    let head = match Head::parse(payload) {
        Ok(head) => head,
        Err(Unreadable { event_id, rejection }) => {
            return Err(Rejected::new(topic, &event_id, now, rejection));
        }
    };
    let Some(device) = device else {
        return Err(Rejected::new(topic, &head.event_id, now, Rejection::NoTwinOf(name.to_string())));
    };
    let twin: Map<String, Value> =
        device.properties.iter().map(|(name, of)| (name.clone(), reply::property(of))).collect();
    Ok(Reply::new(topic, &json!({"event_id": head.event_id, "timestamp": now.ms, "twin": twin})))
}
