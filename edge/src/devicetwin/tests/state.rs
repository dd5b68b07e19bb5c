use serde_json::json;

use super::*;

fn report(edge: &mut Edge, device: &str, payload: &Value) -> Result<states::Accepted, Rejected> {
    let loaded = edge.device(device);
    let accepted = states::decide(&name(device), loaded.as_ref(), &bytes(payload), &edge.now())?;
    edge.append(device, &accepted.event);
    Ok(accepted)
}

#[test]
fn a_state_is_stored_as_sent_and_answered() {
    let mut edge = Edge::with_pump();
    edge.now_ms = 1_767_323_045_678;
    let accepted = report(&mut edge, PUMP, &json!({"event_id": "e-18", "state": "Online"})).unwrap();
    assert_eq!(accepted.event.state, "Online");
    assert_eq!(accepted.result.topic, "$hw/events/device/dev/pump/state/update/result");
    let device = json!({"name": "pump", "state": "Online", "lastOnlineTime": "2026-01-02T03:04:05Z"});
    let whole = json!({"event_id": "e-18", "timestamp": 1_767_323_045_678_u64, "device": device});
    assert_eq!(json(&accepted.result), whole);
}

#[test]
fn last_online_is_the_last_time_that_it_was() {
    let mut edge = Edge::with_pump();
    let mut seen = Vec::new();
    for (state, now_ms) in
        [("unknown", 10_000), ("ok", 20_000), ("offline", 30_000), ("unhealthy", 40_000), ("online", 50_000)]
    {
        edge.now_ms = now_ms;
        let accepted = report(&mut edge, PUMP, &json!({"state": state})).unwrap();
        assert_eq!(json(&accepted.result)["device"].get("lastOnlineTime").is_some(), state != "unknown");
        seen.push(edge.device(PUMP).unwrap().state.unwrap().last_online_ms);
    }
    assert_eq!(seen, [0, 20_000, 20_000, 20_000, 50_000]);
}

#[test]
fn what_is_no_state_is_refused_aloud() {
    let mut edge = Edge::with_pump();
    for payload in
        [json!({"state": "broken"}), json!({"state": ""}), json!({}), json!({"state": 3}), json!(7)]
    {
        let (topic, code, _) = refused(report(&mut edge, PUMP, &payload));
        assert_eq!((topic.as_str(), code), ("$hw/events/device/dev/pump/state/update/result", 400));
    }
    let (_, _, reason) = refused(report(&mut edge, PUMP, &json!({"state": "broken"})));
    assert!(reason.contains("online, offline, ok, unknown, unhealthy"), "{reason}");
    let (topic, code, _) = refused(report(&mut edge, "dev/other", &json!({"state": "ok"})));
    assert_eq!((topic.as_str(), code), ("$hw/events/device/dev/other/state/update/result", 404));
    assert_eq!(edge.device(PUMP).unwrap().state, None);
}
