//! What survives a connection.

use std::sync::Arc;
use std::time::Duration;

use ledge_mqtt::BrokerConfig;

use crate::fixture::{Recorder, Running, broker};
use crate::raw::{Raw, Seen, field, packet};

#[tokio::test]
async fn a_persistent_session_gets_what_it_missed() {
    let running = broker().await;
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.subscribe("a/#").await;
    device.send(&[0xE0, 0]).await;
    device.closed().await;
    for n in 0..50 {
        running.publisher.publish("a/b", n.to_string().into(), 1, false).await.unwrap();
    }
    running.publisher.publish("a/b", "qos 0".into(), 0, false).await.unwrap();
    let (mut device, present) = Raw::v4(running.addr, "d", false).await;
    assert!(present);
    for n in 0..50 {
        let (first, _, id, payload) = device.message().await;
        assert_eq!((first & 0b1000, payload), (0, n.to_string().into_bytes()));
        device.puback(id).await;
    }
    device.hears_nothing().await;
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_as_a_duplicate() {
    let running = broker().await;
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.subscribe("a").await;
    for n in 1..=3 {
        running.publisher.publish("a", n.to_string().into(), 1, false).await.unwrap();
    }
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(device.message().await.2);
    }
    device.puback(ids[1]).await;
    device.ping().await;
    drop(device);
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    for (id, payload) in [(ids[0], b"1"), (ids[2], b"3")] {
        let (first, _, again, seen) = device.message().await;
        assert_eq!((first & 0b1000, again, &seen[..]), (0b1000, id, &payload[..]));
        device.puback(id).await;
    }
    device.hears_nothing().await;
}

#[tokio::test]
async fn a_clean_session_forgets() {
    let running = broker().await;
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.subscribe("a").await;
    drop(device);
    let (device, present) = Raw::v4(running.addr, "d", true).await;
    assert!(!present);
    drop(device);
    let (mut device, present) = Raw::v4(running.addr, "d", false).await;
    assert!(!present, "a clean session was kept");
    running.publisher.publish("a", "x".into(), 1, false).await.unwrap();
    device.hears_nothing().await;
}

#[tokio::test]
async fn a_second_connection_takes_the_client_id_over() {
    let running = broker().await;
    let (mut old, _) = Raw::v5(running.addr, "d", false, &[0x11, 0, 0, 0, 60]).await;
    old.subscribe("a").await;
    let (mut new, present) = Raw::v5(running.addr, "d", false, &[0x11, 0, 0, 0, 60]).await;
    assert!(present);
    assert_eq!(old.closed().await, Some(0x8E));
    running.publisher.publish("a", "x".into(), 1, false).await.unwrap();
    assert_eq!(new.message().await.3, b"x");
}

#[tokio::test]
async fn a_v5_session_ends_when_it_said() {
    let running = broker().await;
    let (device, _) = Raw::v5(running.addr, "d", true, &[0x11, 0, 0, 0, 1]).await;
    drop(device);
    let (device, present) = Raw::v5(running.addr, "d", false, &[0x11, 0, 0, 0, 1]).await;
    assert!(present);
    drop(device);
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let (_, present) = Raw::v5(running.addr, "d", false, &[]).await;
    assert!(!present, "the session outlived its expiry");
    let (_, present) = Raw::v5(running.addr, "d", false, &[]).await;
    assert!(!present, "a session without an expiry outlived its connection");
}

#[tokio::test]
async fn an_offline_queue_is_bounded() {
    let config = BrokerConfig { max_queued_messages: 10, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.subscribe("a").await;
    device.send(&[0xE0, 0]).await;
    device.closed().await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    for n in 0..100 {
        running.publisher.publish("a", n.to_string().into(), 1, false).await.unwrap();
    }
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    for n in 0..10 {
        assert_eq!(device.message().await.3, n.to_string().into_bytes());
    }
    device.hears_nothing().await;
}

fn with_will(id: &str, delay: Option<u8>) -> Vec<u8> {
    let mut body = field("MQTT");
    body.extend([5, 0b0000_1110, 0, 60, 5, 0x11, 0, 0, 0, 60]);
    body.extend(field(id));
    match delay {
        Some(delay) => body.extend([5, 0x18, 0, 0, 0, delay]),
        None => body.push(0),
    }
    body.extend([field("log/gone"), field(id)].concat());
    packet(0x10, &body)
}

#[tokio::test]
async fn the_will_is_for_those_who_do_not_say_goodbye_and_is_logged_like_a_message() {
    let recorder = Arc::new(Recorder::default());
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("log/gone").await;
    for (id, goodbye) in [("polite", &[0xE0, 0][..]), ("rude", &[]), ("on-purpose", &[0xE0, 1, 4])] {
        let mut raw = Raw::open(running.addr, true).await;
        raw.send(&with_will(id, None)).await;
        raw.read().await;
        raw.send(goodbye).await;
        drop(raw);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(viewer.message().await.3, b"rude");
    let (_, _, id, payload) = viewer.message().await;
    assert_eq!(payload, b"on-purpose");
    viewer.puback(id).await;
    assert_eq!(recorder.payloads(), ["rude", "on-purpose"]);
    assert_eq!(recorder.seen()[0].0.packet_id, None);
}

#[tokio::test]
async fn a_delayed_will_is_not_for_those_who_come_back() {
    let running = broker().await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("log/gone").await;
    for id in ["back", "lost"] {
        let mut raw = Raw::open(running.addr, true).await;
        raw.send(&with_will(id, Some(1))).await;
        raw.read().await;
        drop(raw);
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let (_back, present) = Raw::v5(running.addr, "back", false, &[0x11, 0, 0, 0, 60]).await;
    assert!(present);
    assert_eq!(viewer.message().await.3, b"lost");
    viewer.hears_nothing().await;
}

#[tokio::test]
async fn a_message_beyond_its_expiry_is_not_delivered_and_one_in_time_says_what_is_left() {
    let running = broker().await;
    let (mut device, _) = Raw::v5(running.addr, "d", false, &[0x11, 0, 0, 0, 60]).await;
    device.subscribe("a").await;
    drop(device);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let (mut sender, _) = Raw::v5(running.addr, "s", true, &[]).await;
    for (seconds, payload) in [(1, b"short"), (100, b"long ")] {
        let body = [&field("a")[..], &[0, 1, 5, 2, 0, 0, 0, seconds], payload].concat();
        sender.send(&packet(0x32, &body)).await;
        sender.read().await;
    }
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    let (mut device, _) = Raw::v5(running.addr, "d", false, &[0x11, 0, 0, 0, 60]).await;
    let Seen { body, .. } = device.read().await;
    let left = body[body.len() - 6];
    assert!(body.ends_with(b"long ") && (90..100).contains(&left), "{left} seconds left in {body:?}");
}
