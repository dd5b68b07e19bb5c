//! No cloud anywhere: devices are answered, and a restart knows everything.

use serde_json::json;

use crate::fixture::{Node, reported};
use crate::mqtt::Device;

const D: &str = "$hw/events/device/default/pump";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_update_is_answered_and_known_after_a_restart() {
    let node = Node::alone().with_devices(&[("default", "pump", &[("speed", "40")])]);
    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe(&format!("{D}/#")).await;
    let update = json!({"event_id": "e-1", "twin": {"speed": {"actual": {"value": "20"}}}});
    device.publish(&format!("{D}/twin/update"), update.to_string()).await;
    let result = device.json(&format!("{D}/twin/update/result")).await;
    assert_eq!(
        (&result["event_id"], &result["twin"]["speed"]["actual"]["value"]),
        (&json!("e-1"), &json!("20"))
    );
    let document = device.json(&format!("{D}/twin/update/document")).await;
    assert_eq!(document["twin"]["speed"]["current"]["actual"]["value"], "20");
    let delta = device.json(&format!("{D}/twin/update/delta")).await;
    assert_eq!(delta["delta"], json!({"speed": "40"}));
    device.publish(&format!("{D}/state/update"), r#"{"event_id":"s","state":"online"}"#).await;
    assert_eq!(device.json(&format!("{D}/state/update/result")).await["device"]["state"], "online");
    running.stop().await;

    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe(&format!("{D}/#")).await;
    device.subscribe("$hw/events/node/oslo/#").await;
    device.publish(&format!("{D}/twin/get"), r#"{"event_id":"g"}"#).await;
    let twin = device.json(&format!("{D}/twin/get/result")).await;
    assert_eq!(twin["twin"]["speed"]["actual"]["value"], "20");
    assert_eq!(twin["twin"]["speed"]["expected"]["value"], "40");
    device.publish("$hw/events/node/oslo/membership/get", r#"{"event_id":"m"}"#).await;
    let members = device.json("$hw/events/node/oslo/membership/get/result").await;
    assert_eq!(
        (&members["devices"][0]["id"], &members["devices"][0]["state"]),
        (&json!("default/pump"), &json!("online"))
    );
    running.stop().await;
    assert_eq!(reported(&node.up_events(), "speed"), ["20"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_again_with_the_same_packet_id_is_answered_and_not_appended() {
    let node = Node::alone().with_devices(&[("default", "pump", &[])]);
    let topic = format!("{D}/twin/update");
    let body = |value: u32| json!({"twin": {"speed": {"actual": {"value": value.to_string()}}}}).to_string();
    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe(&format!("{topic}/result")).await;
    for (id, value, dup) in [(9, 1, false), (9, 1, true), (9, 1, false), (9, 2, true), (10, 2, true)] {
        device.send_as(&topic, body(value).as_bytes(), id, dup).await.unwrap();
        device.acked(id).await;
        device.json(&format!("{topic}/result")).await;
    }
    running.stop().await;
    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe(&format!("{topic}/result")).await;
    device.send_as(&topic, body(2).as_bytes(), 10, true).await.unwrap();
    device.acked(10).await;
    assert_eq!(device.json(&format!("{topic}/result")).await["twin"]["speed"]["actual"]["value"], "2");
    running.stop().await;
    assert_eq!(reported(&node.up_events(), "speed"), ["1", "1", "2", "2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_and_version_need_no_credentials() {
    let node = Node::alone();
    let running = node.start().await;
    for (path, wanted) in [("/healthz", "ok"), ("/version", "ledge-edge")] {
        let answer = crate::process::get(running.api, path).await;
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(wanted), "{path}: {answer}");
    }
    running.stop().await;
}
