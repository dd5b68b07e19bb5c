use serde_json::json;

use super::super::membership;
use super::*;

#[test]
fn a_node_lists_its_devices_without_their_twins() {
    let mut edge = Edge::with_pump();
    edge.given("shop/lamp", &[("power", "ON")]);
    edge.given("shop/gone", &[]);
    edge.taken("shop/gone");
    edge.now_ms = 1_767_323_045_000;
    let online =
        states::decide(&name(PUMP), edge.device(PUMP).as_ref(), br#"{"state":"online"}"#, &edge.now());
    edge.append(PUMP, &online.unwrap().event);

    let members = devices::list(&edge).unwrap();
    let reply = membership::answer(&node(), &members, br#"{"event_id":"m"}"#, &edge.now()).unwrap();
    assert_eq!(reply.topic, "$hw/events/node/oslo/membership/get/result");
    let devices = json!([
        {"id": "dev/pump", "name": "pump", "state": "online", "last_online": "2026-01-02T03:04:05Z"},
        {"id": "shop/lamp", "name": "lamp"},
    ]);
    assert_eq!(json(&reply), json!({"event_id": "m", "timestamp": edge.now_ms, "devices": devices}));
}

#[test]
fn a_request_that_does_not_read_is_answered_with_400() {
    let edge = Edge::with_pump();
    let (topic, code, _) = refused(membership::answer(&node(), &[], b"?", &edge.now()));
    assert_eq!((topic.as_str(), code), ("$hw/events/node/oslo/membership/get/result", 400));
}

#[test]
fn who_came_and_who_left_is_told_once() {
    let edge = Edge::with_pump();
    let (came, left) = ([(name("a/b"), None)], [(name("c/d"), None)]);
    let reply = membership::updated(&node(), &came, &left, &edge.now()).unwrap();
    assert_eq!(reply.topic, "$hw/events/node/oslo/membership/updated");
    let told = json!({
        "event_id": "fresh", "timestamp": 1_000,
        "added_devices": [{"id": "a/b", "name": "b"}], "removed_devices": [{"id": "c/d", "name": "d"}],
    });
    assert_eq!(json(&reply), told);
    assert_eq!(membership::updated(&node(), &[], &[], &edge.now()), None);
}
