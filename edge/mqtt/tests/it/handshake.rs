//! Who gets in, and how.

use std::sync::Arc;
use std::time::Duration;

use ledge_mqtt::{BindError, Broker, BrokerConfig, Credentials};

use crate::fixture::{Recorder, Running, broker};
use crate::raw::{Raw, connect, field, packet};

#[tokio::test]
async fn without_passwords_only_loopback_is_bound() {
    let open = "0.0.0.0:0".parse().unwrap();
    let bound = Broker::bind(open, BrokerConfig::default(), Arc::new(Recorder::default())).await;
    let Err(error) = bound else { panic!("bound") };
    assert!(matches!(error, BindError::OpenToNetwork { .. }), "{error}");
    let credentials = vec![Credentials { username: "u".into(), password: "p".into() }];
    let config = BrokerConfig { credentials, ..BrokerConfig::default() };
    assert!(Broker::bind(open, config, Arc::new(Recorder::default())).await.is_ok());
}

fn login(username: &str, password: &str) -> Vec<u8> {
    let mut body = field("MQTT");
    body.extend([4, 0b1100_0010, 0, 60]);
    body.extend([field("d"), field(username), field(password)].concat());
    packet(0x10, &body)
}

#[tokio::test]
async fn passwords_are_asked_for() {
    let credentials = vec![Credentials { username: "u".into(), password: "p".into() }];
    let config = BrokerConfig { credentials, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    for (bytes, code) in [(login("u", "p"), 0), (login("u", "q"), 4), (connect("d", 4, true, 0, &[]), 4)] {
        let mut raw = Raw::open(running.addr, false).await;
        raw.send(&bytes).await;
        assert_eq!(raw.read().await.body, [0, code]);
        if code > 0 {
            raw.closed().await;
        }
    }
}

#[tokio::test]
async fn an_old_or_unknown_protocol_is_told_so() {
    let running = broker().await;
    for level in [3, 6] {
        let mut raw = Raw::open(running.addr, false).await;
        raw.send(&connect("d", level, true, 0, &[])).await;
        assert_eq!(raw.read().await.body, [0, 1], "level {level}");
        raw.closed().await;
    }
}

#[tokio::test]
async fn a_client_without_an_id_gets_one_unless_it_wants_its_session_kept() {
    let running = broker().await;
    let mut raw = Raw::open(running.addr, false).await;
    raw.send(&connect("", 4, false, 0, &[])).await;
    assert_eq!(raw.read().await.body, [0, 2]);
    let (_, present) = Raw::v4(running.addr, "", true).await;
    assert!(!present);
    let mut raw = Raw::open(running.addr, true).await;
    raw.send(&connect("", 5, true, 0, &[])).await;
    let ack = raw.read().await;
    assert!(String::from_utf8_lossy(&ack.body).contains("ledge-"), "no id in {ack:?}");
}

#[tokio::test]
async fn enhanced_authentication_and_refused_wills_do_not_connect() {
    let running = broker().await;
    let mut raw = Raw::open(running.addr, true).await;
    raw.send(&connect("d", 5, true, 0, &[[0x15].as_slice(), &field("SCRAM")].concat())).await;
    assert_eq!(raw.read().await.body[1], 0x8C);
    let mut body = field("MQTT");
    body.extend([4, 0b0000_0110, 0, 60]);
    body.extend([field("d"), field("a/result"), field("forged")].concat());
    let mut raw = Raw::open(running.addr, false).await;
    raw.send(&packet(0x10, &body)).await;
    assert_eq!(raw.read().await.body, [0, 5]);
}

#[tokio::test]
async fn silence_before_and_after_connecting_ends_a_connection() {
    let config = BrokerConfig { connect_timeout: Duration::from_millis(200), ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let mut raw = Raw::open(running.addr, false).await;
    raw.closed().await;
    let mut raw = Raw::open(running.addr, true).await;
    raw.send(&connect("d", 5, true, 1, &[])).await;
    raw.read().await;
    let started = tokio::time::Instant::now();
    assert_eq!(raw.closed().await, Some(0x8D));
    assert!(started.elapsed() >= Duration::from_millis(1_400), "after {:?}", started.elapsed());
}

#[tokio::test]
async fn what_comes_out_of_turn_is_a_protocol_error() {
    let running = broker().await;
    let mut raw = Raw::open(running.addr, false).await;
    raw.send(&[0xC0, 0]).await;
    raw.closed().await;
    for bytes in [connect("d", 5, true, 0, &[]), packet(0x50, &[0, 1]), packet(0x20, &[0, 0, 0])] {
        let (mut raw, _) = Raw::v5(running.addr, "d", true, &[]).await;
        raw.send(&bytes).await;
        assert_eq!(raw.closed().await, Some(0x82));
    }
}

#[tokio::test]
async fn beyond_the_number_of_connections_nobody_gets_in() {
    let config = BrokerConfig { max_connections: 2, ..BrokerConfig::default() };
    let running = Running::start(config, Arc::new(Recorder::default())).await;
    let (mut one, _) = Raw::v4(running.addr, "1", true).await;
    let (two, _) = Raw::v4(running.addr, "2", true).await;
    let mut three = Raw::open(running.addr, false).await;
    three.closed().await;
    one.ping().await;
    drop(two);
    tokio::time::sleep(Duration::from_millis(100)).await;
    Raw::v4(running.addr, "3", true).await;
}
