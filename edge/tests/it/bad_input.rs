//! What devices must not be able to break: each gets an error of its own, and nothing else notices.

use serde_json::{Value, json};

use crate::fixture::{Node, reported};
use crate::mqtt::Device;

const D: &str = "$hw/events/device/default/pump";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bodies_that_are_none_are_answered_on_the_senders_own_topic() {
    let node = Node::alone().with_devices(&[("default", "pump", &[]), ("dev", "lamp", &[])]);
    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe("$hw/events/device/#").await;
    let (topic, result) = (format!("{D}/twin/update"), format!("{D}/twin/update/result"));
    let long = "x".repeat(200_000);
    let too_long = json!({"event_id": "e", "twin": {"k": {"actual": {"value": long}}}}).to_string();
    for body in [
        "",
        "{",
        "not json",
        "[]",
        "{}",
        r#"{"event_id":"e","twin":7}"#,
        r#"{"event_id":"e","twin":{"k":{"expected":{}}}}"#,
        r#"{"event_id":"e","twin":{"k":{"actual":{"value":23}}}}"#,
        r#"{"event_id":"e","twin":{"a b":{"actual":{"value":"1"}}}}"#,
        r#"{"event_id":"e","twin":{"k":null}}"#,
        too_long.as_str(),
    ] {
        device.publish(&topic, body).await;
        let answer = device.json(&result).await;
        let shown = &body[..body.len().min(60)];
        assert_eq!(answer["code"], 400, "{shown}: {answer}");
        assert!(!answer["reason"].as_str().unwrap().is_empty(), "{shown}");
    }
    for topic in ["$hw/events/device/default/ghost/twin/update", "$hw/events/device/other/pump/twin/update"] {
        device.publish(topic, r#"{"event_id":"e","twin":{"k":{"actual":{"value":"1"}}}}"#).await;
        assert_eq!(device.json(&format!("{topic}/result")).await["code"], 404, "{topic}");
    }
    // A namespace that is a part of the topic's own words is one like any other.
    let lamp = "$hw/events/device/dev/lamp/twin/update";
    device.publish(lamp, r#"{"event_id":"e","twin":{"on":{"actual":{"value":"1"}}}}"#).await;
    let answer = device.json(&format!("{lamp}/result")).await;
    assert_eq!((&answer["code"], &answer["twin"]["on"]["actual"]["value"]), (&Value::Null, &json!("1")));
    running.stop().await;
    assert_eq!(reported(&node.up_events(), "on"), ["1"]);
    assert_eq!(reported(&node.up_events(), "k"), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_writes_where_only_ledge_writes_or_too_much_is_closed_alone() {
    let node = Node::alone().with_devices(&[("default", "pump", &[])]);
    let running = node.start().await;
    let mut good = Device::connect(running.mqtt(), "good").await;
    good.subscribe(&format!("{D}/#")).await;
    for topic in ["twin/update/result", "twin/update/delta", "twin/cloud_updated"] {
        let mut bad = Device::connect(running.mqtt(), "bad").await;
        bad.send(&format!("{D}/{topic}"), b"{}").await;
        assert!(bad.is_closed().await, "{topic}");
    }
    let mut bad = Device::connect(running.mqtt(), "bad").await;
    let huge = vec![b'x'; 10 << 20];
    // The broker closes while the rest is still being sent.
    let _ = bad.send_as(&format!("{D}/twin/update"), &huge, 1, false).await;
    assert!(bad.is_closed().await, "10 MB");
    good.publish(&format!("{D}/twin/update"), r#"{"twin":{"k":{"actual":{"value":"1"}}}}"#).await;
    assert_eq!(good.json(&format!("{D}/twin/update/result")).await["twin"]["k"]["actual"]["value"], "1");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_on_other_logged_topics_are_events_and_plain_ones_are_not() {
    use ledge_schemas::kinds::Body;
    use ledge_schemas::kinds::up::Message;
    let node = Node::alone();
    let running = node.start().await;
    let mut device = Device::connect(running.mqtt(), "any").await;
    for topic in ["$hw/events/upload/x", "SYS/dis/upload_records", "shop/user/door", "plain/talk"] {
        device.publish(topic, topic).await;
    }
    running.stop().await;
    let messages = node.up_events().into_iter().filter(|(_, event)| event.kind == Message::KIND);
    let topics: Vec<_> = messages.map(|(_, event)| Message::from_body(&event.body).unwrap().topic).collect();
    assert_eq!(topics, ["$hw/events/upload/x", "SYS/dis/upload_records", "shop/user/door"]);
}
