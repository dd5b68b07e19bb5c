//! Bad and greedy clients hurt themselves only.

use std::sync::Arc;
use std::time::Duration;

use ledge_mqtt::{BrokerConfig, Refusal};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use tokio::io::AsyncWriteExt;

use crate::fixture::{PATIENCE, Recorder, Running, broker, until};
use crate::raw::{Raw, connect, packet};

#[tokio::test]
async fn the_sender_of_ten_megabytes_is_closed_and_nobody_else_notices() {
    let recorder = Arc::new(Recorder::default());
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut neighbour, _) = Raw::v4(running.addr, "n", true).await;
    let (mut five, _) = Raw::v5(running.addr, "5", true, &[]).await;
    // The header alone is enough to be told.
    five.send(&[0x32, 0x80, 0xAD, 0xE2, 0x04]).await;
    assert_eq!(five.closed().await, Some(0x95));
    let (mut four, _) = Raw::v4(running.addr, "4", true).await;
    let big = four.publish_bytes("log/big", &vec![0; 10 << 20], 1, 1, false);
    // The broker closes in the middle of it.
    let _broken_pipe = four.stream.write_all(&big).await;
    assert_eq!(four.closed().await, None);
    neighbour.publish("log/small", b"x", 1, 1, false).await;
    assert_eq!(neighbour.read().await.body, [0, 1]);
    assert_eq!(recorder.payloads(), ["x"]);
}

#[tokio::test]
async fn a_megabyte_less_a_little_fits() {
    let recorder = Arc::new(Recorder::default());
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut viewer, _) = Raw::v4(running.addr, "v", true).await;
    viewer.subscribe("log/#").await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    let payload: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
    device.publish("log/big", &payload, 1, 1, false).await;
    assert_eq!(device.read().await.body, [0, 1]);
    assert_eq!(viewer.message().await.3, payload);
    assert_eq!(recorder.seen()[0].1.payload, payload);
}

#[tokio::test]
async fn a_client_that_takes_little_is_sent_little() {
    let running = broker().await;
    let (mut viewer, _) = Raw::v5(running.addr, "v", true, &[0x27, 0, 0, 0, 100, 0x21, 0, 2]).await;
    viewer.subscribe("a").await;
    running.publisher.publish("a", vec![b'x'; 200].into(), 1, false).await.unwrap();
    for n in 0..4 {
        running.publisher.publish("a", n.to_string().into(), 1, false).await.unwrap();
    }
    let first = viewer.message().await;
    assert_eq!(first.3, b"0", "the large one was sent");
    assert_eq!(viewer.message().await.3, b"1");
    viewer.hears_nothing().await;
    viewer.puback(first.2).await;
    assert_eq!(viewer.message().await.3, b"2");
}

#[tokio::test]
async fn a_slow_consumer_is_cut_off_and_keeps_its_session() {
    let config = BrokerConfig { max_queued_messages: 100, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut neighbour, _) = Raw::v4(running.addr, "n", true).await;
    let (mut slow, _) = Raw::v5(running.addr, "slow", false, &[0x11, 0, 0, 0, 60]).await;
    slow.subscribe("a").await;
    for _ in 0..500 {
        running.publisher.publish("a", vec![b'x'; 1000].into(), 1, false).await.unwrap();
    }
    assert_eq!(slow.closed().await, Some(0x97));
    neighbour.ping().await;
    let (mut slow, present) = Raw::v5(running.addr, "slow", false, &[0x11, 0, 0, 0, 60]).await;
    assert!(present);
    // What was queued, whether or not some of it was in flight before.
    for _ in 0..100 {
        let (_, _, id, _) = slow.message().await;
        slow.puback(id).await;
    }
}

#[tokio::test]
async fn a_slow_consumer_of_qos_0_loses_the_oldest_and_stays() {
    let config = BrokerConfig { max_queued_messages: 10, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut slow, _) = Raw::v4(running.addr, "slow", true).await;
    slow.subscribe_with("a", 0).await;
    for n in 0..20_000 {
        running.publisher.publish("a", format!("{n:01000}").into(), 0, false).await.unwrap();
    }
    let (mut count, mut last) = (0, 0);
    while last < 19_999 {
        let number: u32 = String::from_utf8(slow.message().await.3).unwrap().parse().unwrap();
        assert!(count == 0 || number > last, "order is lost");
        (count, last) = (count + 1, number);
    }
    assert!(count < 20_000, "nothing was dropped, so nothing was tested");
    slow.ping().await;
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed() {
    let config = BrokerConfig { write_timeout: Duration::from_millis(300), ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut deaf, _) = Raw::v4(running.addr, "deaf", true).await;
    let closed = async {
        // Pings without end: answers fill the socket, then nothing is read, then the time is up.
        while deaf.stream.write_all(&[0xC0, 0].repeat(4096)).await.is_ok() {}
    };
    tokio::time::timeout(PATIENCE, closed).await.expect("the broker keeps a deaf client");
}

#[tokio::test]
async fn a_busy_handler_stops_the_reading() {
    let recorder = Recorder::answering(vec![Refusal::Busy; 1_000_000]);
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    let one = device.publish_bytes("log/a", &vec![0; 100_000], 1, 1, false);
    let flood = async {
        loop {
            device.stream.write_all(&one).await.unwrap();
        }
    };
    assert!(tokio::time::timeout(Duration::from_millis(800), flood).await.is_err(), "closed");
    let written = recorder.seen().len();
    assert!(written <= 80, "the handler was called {written} times while it was busy");
}

#[tokio::test]
async fn arbitrary_bytes_close_one_connection_and_never_the_broker() {
    let recorder = Arc::new(Recorder::default());
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let bytes = prop::collection::vec(any::<u8>(), 1..200);
    let mut runner = TestRunner::deterministic();
    for round in 0..200 {
        let junk = bytes.new_tree(&mut runner).unwrap().current();
        let v5 = round % 2 == 0;
        let mut raw = Raw::open(running.addr, v5).await;
        if round % 4 < 2 {
            raw.send(&connect("junk", if v5 { 5 } else { 4 }, true, 0, &[])).await;
        }
        raw.send(&junk).await;
        raw.stream.shutdown().await.unwrap();
        raw.closed().await;
    }
    let (mut device, _) = Raw::v4(running.addr, "d", true).await;
    device.ping().await;
}

#[tokio::test]
async fn unreleased_qos_2_messages_are_bounded() {
    let running = broker().await;
    let (mut device, _) = Raw::v5(running.addr, "d", true, &[]).await;
    for id in 1..=65 {
        device.publish("plain", b"x", 2, id, false).await;
    }
    assert_eq!(device.closed().await, Some(0x93));
}

#[tokio::test]
async fn filters_and_sessions_are_bounded() {
    let config = BrokerConfig { max_filters: 2, max_sessions: 2, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut one, _) = Raw::v5(running.addr, "1", true, &[]).await;
    assert_eq!([one.subscribe("a").await, one.subscribe("b").await, one.subscribe("c").await], [1, 1, 0x97]);
    assert_eq!(one.subscribe("a").await, 1, "a filter replaced is not one more");
    let (_two, _) = Raw::v4(running.addr, "2", true).await;
    let mut three = Raw::open(running.addr, false).await;
    three.send(&connect("3", 4, true, 0, &[])).await;
    assert_eq!(three.read().await.body, [0, 3]);
}

#[tokio::test]
async fn a_packet_that_arrives_byte_by_byte_is_a_packet() {
    let recorder = Arc::new(Recorder::default());
    let running = Running::start(BrokerConfig::default(), recorder.clone()).await;
    let mut raw = Raw::open(running.addr, false).await;
    raw.stream.set_nodelay(true).unwrap();
    let bytes = [connect("d", 4, true, 0, &[]), raw.publish_bytes("log/a", &[7; 200], 1, 1, false)].concat();
    for byte in bytes {
        raw.send(&[byte]).await;
    }
    raw.read().await;
    assert_eq!(raw.read().await.body, [0, 1]);
    until(|| recorder.seen()[0].1.payload == vec![7; 200]).await;
    raw.send(&packet(0xE0, &[])).await;
    raw.closed().await;
}
