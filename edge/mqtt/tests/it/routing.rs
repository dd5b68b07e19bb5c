//! Who gets what: wildcards, retained messages, MQTT 5's subscription options.

use crate::fixture::broker;
use crate::raw::{Raw, Seen, field, packet};

#[tokio::test]
async fn wildcards_choose_and_dollar_topics_hide() {
    let running = broker().await;
    for (filter, topics) in [
        ("a/+", &["a/b"][..]),
        ("a/#", &["a", "a/b", "a/b/c"]),
        ("#", &["a", "a/b", "a/b/c", "b"]),
        ("+/b", &["a/b"]),
        ("$hw/#", &["$hw/b"]),
        ("$hw/+", &["$hw/b"]),
        ("+", &["a", "b"]),
    ] {
        let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
        assert_eq!(viewer.subscribe(filter).await, 1, "{filter}");
        for topic in ["a", "a/b", "a/b/c", "b", "$hw/b"] {
            running.publisher.publish(topic, "x".into(), 1, false).await.unwrap();
        }
        running.publisher.publish("end", "x".into(), 1, false).await.unwrap();
        for topic in topics {
            assert_eq!(viewer.message().await.1, *topic, "{filter}");
        }
        if filter == "#" || filter == "+" {
            assert_eq!(viewer.message().await.1, "end");
        }
        viewer.hears_nothing().await;
    }
}

#[tokio::test]
async fn wrong_filters_are_refused_one_by_one() {
    let running = broker().await;
    let (mut four, _) = Raw::v4(running.addr, "4", true).await;
    let (mut five, _) = Raw::v5(running.addr, "5", true, &[]).await;
    for (filter, code) in [("a#", 0x8F), ("a/#/b", 0x8F), ("", 0x8F), ("$share/g/a", 0x9E)] {
        assert_eq!(four.subscribe(filter).await, 0x80, "{filter}");
        assert_eq!(five.subscribe(filter).await, code, "{filter}");
    }
    assert_eq!(four.subscribe_with("a", 2).await, 1, "QoS 2 is granted 1");
    assert_eq!(four.subscribe_with("a", 0).await, 0);
}

#[tokio::test]
async fn an_unsubscribed_filter_is_quiet() {
    let running = broker().await;
    let (mut viewer, _) = Raw::v5(running.addr, "v", true, &[]).await;
    viewer.subscribe("a/+").await;
    viewer.send(&packet(0xA2, &[&[0, 5, 0][..], &field("a/+"), &field("never")].concat())).await;
    assert_eq!(viewer.read().await, Seen { first: 0xB0, body: vec![0, 5, 0, 0, 0x11] });
    running.publisher.publish("a/b", "x".into(), 1, false).await.unwrap();
    viewer.hears_nothing().await;
}

#[tokio::test]
async fn overlapping_subscriptions_deliver_once_at_the_better_quality() {
    let running = broker().await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe_with("a/#", 0).await;
    viewer.subscribe_with("a/b", 1).await;
    running.publisher.publish("a/b", "x".into(), 1, false).await.unwrap();
    let (first, _, id, _) = viewer.message().await;
    assert_eq!(first & 0b0110, 0b0010);
    viewer.puback(id).await;
    viewer.hears_nothing().await;
}

#[tokio::test]
async fn retained_messages_are_for_those_who_come_later() {
    let running = broker().await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    for (topic, payload) in [("r/a", "1"), ("r/a", "2"), ("r/b", "3"), ("r/b", "")] {
        device.send(&packet(0x33, &[&field(topic)[..], &[0, 1], payload.as_bytes()].concat())).await;
        device.read().await;
    }
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("r/#").await;
    let (first, topic, id, payload) = viewer.message().await;
    assert_eq!((first & 1, topic.as_str(), &payload[..]), (1, "r/a", &b"2"[..]));
    viewer.puback(id).await;
    viewer.hears_nothing().await;
    running.publisher.publish("r/a", "live".into(), 0, true).await.unwrap();
    let (first, _, _, payload) = viewer.message().await;
    assert_eq!((first & 1, &payload[..]), (0, &b"live"[..]), "a live message says retained");
}

#[tokio::test]
async fn v5_subscriptions_choose_about_retained_and_own_messages() {
    let running = broker().await;
    running.publisher.publish("r", "kept".into(), 1, true).await.unwrap();
    let (mut viewer, _) = Raw::v5(running.addr, "v", true, &[]).await;
    viewer.subscribe_with("r", 0b0010_0001).await;
    viewer.hears_nothing().await;
    viewer.subscribe_with("r", 0b0001_0001).await;
    viewer.hears_nothing().await;
    viewer.subscribe_with("r", 0b0000_1101).await;
    let (first, _, id, _) = viewer.message().await;
    assert_eq!(first & 1, 1);
    viewer.puback(id).await;
    viewer.publish("r", b"own", 0, 0, false).await;
    viewer.ping().await;
    running.publisher.publish("r", "again".into(), 0, true).await.unwrap();
    let (first, _, _, payload) = viewer.message().await;
    assert_eq!((first & 1, &payload[..]), (1, &b"again"[..]), "retain as published");
}

#[tokio::test]
async fn properties_are_handed_on_between_v5_clients_and_left_out_for_3_1_1() {
    let running = broker().await;
    let (mut four, _) = Raw::v4(running.addr, "4", true).await;
    four.subscribe("a").await;
    let (mut five, _) = Raw::v5(running.addr, "5", true, &[]).await;
    let subscribe = [&[0, 77, 3, 0x0B, 0xC8, 0x01][..], &field("a"), &[0]].concat();
    five.send(&packet(0x82, &subscribe)).await;
    five.read().await;
    let properties = [
        &[1, 1, 3][..],
        &field("text"),
        &[8],
        &field("reply/to"),
        &[9],
        &field("id-7"),
        &[0x26],
        &field("k"),
        &field("v"),
    ]
    .concat();
    let (mut sender, _) = Raw::v5(running.addr, "s", true, &[]).await;
    let body = [&field("a")[..], &[properties.len() as u8], &properties, b"payload"].concat();
    sender.send(&packet(0x30, &body)).await;
    let wanted =
        [&field("a")[..], &[properties.len() as u8 + 3, 0x0B, 0xC8, 0x01], &properties, b"payload"].concat();
    assert_eq!(five.read().await.body, wanted);
    assert_eq!(four.message().await.3, b"payload");
}

#[tokio::test]
async fn the_edge_cannot_publish_nonsense() {
    let running = broker().await;
    assert!(running.publisher.publish("a/+", "x".into(), 0, false).await.is_err());
    assert!(running.publisher.publish("a", "x".into(), 2, false).await.is_err());
    assert!(running.publisher.publish("a", vec![0; 1 << 20].into(), 0, false).await.is_err());
}
