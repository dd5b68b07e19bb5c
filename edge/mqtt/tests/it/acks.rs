//! What an acknowledgement means, and when it is given.

use std::sync::Arc;
use std::time::Duration;

use ledge_mqtt::{BrokerConfig, Refusal};

use crate::fixture::{MOMENT, Recorder, Running, broker, until};
use crate::raw::{Raw, packet};

#[tokio::test]
async fn the_puback_waits_for_the_handler() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("log/a", b"1", 1, 9, false).await;
    recorder.saw(1).await;
    device.hears_nothing().await;
    gate.add_permits(1);
    assert_eq!(device.read().await.body, [0, 9]);
}

#[tokio::test]
async fn sixty_four_are_in_flight_and_answered_in_order() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    for id in 1..=100 {
        device.publish("log/a", id.to_string().as_bytes(), 1, id, false).await;
    }
    recorder.saw(64).await;
    tokio::time::sleep(MOMENT).await;
    assert_eq!(recorder.seen().len(), 64, "the window is not kept");
    gate.add_permits(100);
    for id in 1..=100u16 {
        assert_eq!(device.read().await.body, id.to_be_bytes());
    }
    assert_eq!(recorder.payloads(), (1..=100).map(|id| id.to_string()).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_plain_message_does_not_overtake_the_answer_to_a_logged_one() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    device.publish("log/a", b"1", 1, 1, false).await;
    device.publish("plain", b"2", 1, 2, false).await;
    device.publish("a/result", b"3", 1, 3, false).await;
    device.ping().await;
    gate.add_permits(1);
    assert_eq!(device.read().await.body, [0, 1]);
    assert_eq!(device.read().await.body, [0, 2]);
    assert_eq!(device.read().await.body, [0, 3, 0x87]);
}

#[tokio::test]
async fn refusals_have_their_reasons_in_v5() {
    let refusals = [Refusal::Invalid("not JSON".into()), Refusal::NotAuthorized, Refusal::Busy];
    let recorder = Recorder::answering(refusals);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    for (id, code) in [(1, 0x99), (2, 0x87), (3, 0x97)] {
        device.publish("log/a", b"x", 1, id, false).await;
        assert_eq!(device.read().await.body[..3], [0, id as u8, code]);
    }
    device.publish("log/a", b"x", 1, 4, false).await;
    assert_eq!(device.read().await.body, [0, 4], "busy is not for ever");
    assert_eq!(recorder.seen().len(), 4, "a refusal is not repeated to a v5 client's handler");
}

#[tokio::test]
async fn in_3_1_1_busy_is_a_late_puback_and_order_is_kept() {
    let recorder = Recorder::answering(vec![Refusal::Busy; 3]);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("log/a", b"1", 1, 1, false).await;
    assert_eq!(device.read().await.body, [0, 1]);
    device.publish("log/a", b"2", 1, 2, false).await;
    assert_eq!(device.read().await.body, [0, 2]);
    assert_eq!(recorder.payloads(), ["1", "1", "1", "1", "2"]);
}

#[tokio::test]
async fn in_3_1_1_a_refusal_closes_that_client_only() {
    let recorder = Recorder::answering([Refusal::Invalid("not JSON".into())]);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut neighbour, _) = Raw::v4(running.addr, "n", true).await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("log/a", b"x", 1, 1, false).await;
    assert_eq!(device.closed().await, None);
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("a/result", b"x", 1, 1, false).await;
    assert_eq!(device.closed().await, None);
    neighbour.ping().await;
}

#[tokio::test]
async fn at_qos_0_a_refused_topic_is_dropped_without_a_word() {
    let running = broker().await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.subscribe("#").await;
    device.publish("a/result", b"forged", 0, 0, false).await;
    device.publish("a/true", b"x", 0, 0, false).await;
    assert_eq!(device.message().await.1, "a/true");
}

#[tokio::test]
async fn a_redelivery_carries_its_flag_and_packet_id_to_the_handler() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "pump1", false).await;
    device.publish("log/a", b"x", 1, 9, false).await;
    recorder.saw(1).await;
    drop(device);
    let (mut device, present) = Raw::v4(running.addr, "pump1", false).await;
    assert!(present);
    device.publish("log/a", b"x", 1, 9, true).await;
    gate.add_permits(2);
    assert_eq!(device.read().await.body, [0, 9]);
    let origins: Vec<_> = recorder.seen().into_iter().map(|(from, _)| from).collect();
    assert!(origins.iter().all(|from| &*from.client_id == "pump1" && from.packet_id == Some(9)));
    assert_eq!([origins[0].dup, origins[1].dup], [false, true]);
}

#[tokio::test]
async fn qos_2_reaches_the_handler_once() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.publish("log/a", b"x", 2, 5, false).await;
    device.publish("log/a", b"x", 2, 5, true).await;
    recorder.saw(1).await;
    device.hears_nothing().await;
    gate.add_permits(10);
    let received = device.read().await;
    assert_eq!((received.first, &received.body[..]), (0x50, &[0, 5][..]));
    drop(device);
    let (mut device, _) = Raw::v4(running.addr, "d", false).await;
    device.publish("log/a", b"x", 2, 5, true).await;
    assert_eq!(device.read().await.first, 0x50);
    device.send(&packet(0x62, &[0, 5])).await;
    assert_eq!(device.read().await.first, 0x70);
    assert_eq!(recorder.seen().len(), 1);
    device.publish("log/a", b"y", 2, 5, false).await;
    assert_eq!(device.read().await.first, 0x50);
    assert_eq!(recorder.payloads(), ["x", "y"]);
}

#[tokio::test]
async fn a_refused_qos_2_message_is_not_received() {
    let recorder = Recorder::answering([Refusal::NotAuthorized]);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    device.publish("log/a", b"x", 2, 5, false).await;
    assert_eq!(device.read().await.body, [0, 5, 0x87]);
    device.send(&packet(0x62, &[0, 5])).await;
    assert_eq!(device.read().await.body, [0, 5, 0x92], "there was nothing to release");
}

#[tokio::test]
async fn subscribers_see_a_logged_message_after_it_is_logged() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("log/#").await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("log/a", b"x", 1, 1, false).await;
    recorder.saw(1).await;
    viewer.hears_nothing().await;
    gate.add_permits(1);
    assert_eq!(viewer.message().await.3, b"x");
}

#[tokio::test]
async fn a_client_that_publishes_and_leaves_has_published() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("log/#").await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.publish("log/a", b"x", 0, 0, false).await;
    device.send(&[0xE0, 0]).await;
    device.closed().await;
    gate.add_permits(1);
    assert_eq!(viewer.message().await.3, b"x");
}

#[tokio::test]
async fn stopping_sees_messages_through_and_says_goodbye() {
    let (recorder, gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let publisher = running.publisher.clone();
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    device.publish("log/a", b"x", 1, 1, false).await;
    recorder.saw(1).await;
    let stopping = tokio::spawn(running.stop());
    tokio::time::sleep(Duration::from_millis(50)).await;
    gate.add_permits(1);
    assert_eq!(device.read().await.body, [0, 1]);
    assert_eq!(device.closed().await, Some(0x8B));
    stopping.await.unwrap();
    assert!(publisher.publish("a", "x".into(), 0, false).await.is_err());
}

#[tokio::test]
async fn a_closed_log_acknowledges_nothing() {
    let recorder = Recorder::answering([Refusal::Closed]);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    device.publish("log/a", b"x", 1, 1, false).await;
    assert_eq!(device.closed().await, Some(0x8B));
}

#[tokio::test]
async fn one_slow_client_does_not_hold_up_another() {
    let (recorder, _gate) = Recorder::gated();
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut stuck, _) = Raw::v4(running.addr, "stuck", true).await;
    for id in 1..=70 {
        stuck.publish("log/a", b"x", 1, id, false).await;
    }
    until(|| recorder.seen().len() == 64).await;
    let (mut other, _) = Raw::v4(running.addr, "other", true).await;
    other.publish("plain", b"x", 1, 1, false).await;
    assert_eq!(other.read().await.body, [0, 1]);
    drop(Arc::clone(&recorder));
}
