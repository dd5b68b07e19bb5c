//! `state/update`: a device says how it is.

use ledge_core::view::up::StateRow;
use ledge_schemas::DeviceName;
use ledge_schemas::kinds::up::DeviceState;
use serde_json::{Map, json};

use super::device::Device;
use super::payload::{StateReport, Unreadable, clipped};
use super::{Ask, Now, Rejected, Rejection, Reply, reply};

/// A state that is taken. The event first; the reply when it is durable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// To append, keyed by the device.
    pub event: DeviceState,
    /// To the sender.
    pub result: Reply,
}

/// Decides a message on `D/state/update`. `device` is `None` if this node has no such device.
pub fn decide(
    name: &DeviceName,
    device: Option<&Device>,
    payload: &[u8],
    now: &Now,
) -> Result<Accepted, Rejected> {
    match StateReport::parse(payload) {
        Ok(report) => apply(name, device, &report, now),
        Err(Unreadable { event_id, rejection }) => Err(rejected(name, &event_id, now, rejection)),
    }
}

/// Decides a state that has been read: a message's, or a driver's report.
pub fn apply(
    name: &DeviceName,
    device: Option<&Device>,
    report: &StateReport,
    now: &Now,
) -> Result<Accepted, Rejected> {
    let event_id = &report.head.event_id;
    let Some(device) = device else {
        return Err(rejected(name, event_id, now, Rejection::NoDevice(name.to_string())));
    };
    let last_online_ms = match report.state.to_ascii_lowercase().as_str() {
        "online" | "ok" => now.ms,
        "offline" | "unknown" | "unhealthy" => {
            device.state.as_ref().map_or(0, |old: &StateRow| old.last_online_ms)
        }
        _ => return Err(rejected(name, event_id, now, Rejection::State(clipped(&report.state)))),
    };
    let mut shown = Map::new();
    shown.insert("name".into(), json!(name.name));
    shown.insert("state".into(), json!(report.state));
    if last_online_ms > 0 {
        shown.insert("lastOnlineTime".into(), json!(reply::rfc3339(last_online_ms)));
    }
    let payload = json!({"event_id": event_id, "timestamp": now.ms, "device": shown});
    let result = Reply::new(Ask::StateUpdate.result_topic(name), &payload);
    Ok(Accepted { event: DeviceState { state: report.state.clone(), last_online_ms }, result })
}

fn rejected(name: &DeviceName, event_id: &str, now: &Now, rejection: Rejection) -> Rejected {
    Rejected::new(Ask::StateUpdate.result_topic(name), event_id, now, rejection)
}
