//! The bridge against a real mosquitto.

use std::sync::Arc;
use std::time::Duration;

use ledge_mqtt::{Bridge, BridgeConfig, BridgeError, Handler, Publisher, Refusal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::fixture::{MOMENT, PATIENCE, Recorder, until};
use crate::mosquitto::{Mosquitto, publish};
use crate::raw::Raw;

struct Bridging {
    publisher: Publisher,
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Bridging {
    fn start(port: u16, handler: Arc<dyn Handler>) -> Self {
        let mut config =
            BridgeConfig::new("ledge-node1", ["log/#", "$hw/events/device/+/+/twin/+", "answers/#"]);
        config.reconnect = (Duration::from_millis(50), Duration::from_millis(200));
        let (bridge, publisher) = Bridge::new(&format!("mqtt://127.0.0.1:{port}"), config, handler).unwrap();
        let stop = CancellationToken::new();
        let task = tokio::spawn(bridge.run(stop.clone()));
        Self { publisher, stop, task }
    }

    async fn stop(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.task).await.expect("the bridge does not stop").unwrap();
    }
}

/// Sends probes until the bridge is subscribed.
async fn subscribed(port: u16, recorder: &Recorder) {
    let probing = async {
        while recorder.seen().is_empty() {
            publish(port, "311", "log/probe", "probe").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, probing).await.expect("the bridge does not subscribe");
}

fn numbers(recorder: &Recorder) -> Vec<String> {
    let mut payloads = recorder.payloads();
    payloads.retain(|payload| payload != "probe");
    payloads
}

#[tokio::test]
async fn messages_come_in_order_and_answers_go_out() {
    let Some(mosquitto) = Mosquitto::start().await else { return };
    let recorder = Arc::new(Recorder::default());
    let bridging = Bridging::start(mosquitto.port, recorder.clone());
    subscribed(mosquitto.port, &recorder).await;
    let (mut device, _) = Raw::v4(([127, 0, 0, 1], mosquitto.port).into(), "d", true).await;
    device.subscribe("answers/#").await;
    for id in 1..=100 {
        device.publish("log/a", id.to_string().as_bytes(), 1, id, false).await;
        device.read().await;
    }
    until(|| numbers(&recorder).len() >= 100).await;
    assert_eq!(numbers(&recorder), (1..=100).map(|id| id.to_string()).collect::<Vec<_>>());
    assert!(
        recorder.seen().iter().all(|(from, _)| &*from.client_id == "ledge-node1" && from.packet_id.is_some())
    );
    // Larger than the default of many clients, and an echo through the bridge's own wildcard.
    bridging.publisher.publish("answers/result", vec![b'x'; 300_000].into(), 1, false).await.unwrap();
    assert_eq!(device.message().await.3.len(), 300_000);
    bridging.stop().await;
    assert_eq!(numbers(&recorder).len(), 100, "the bridge heard itself");
}

#[tokio::test]
async fn what_came_while_the_handler_refused_arrives_after_even_across_a_restart() {
    let Some(mut mosquitto) = Mosquitto::start().await else { return };
    let recorder = Arc::new(Recorder::default());
    let bridging = Bridging::start(mosquitto.port, recorder.clone());
    subscribed(mosquitto.port, &recorder).await;
    bridging.stop().await;

    // Busy for as long as the test wants: more refusals than there is time for.
    let busy = Recorder::answering(vec![Refusal::Busy; 100_000]);
    let bridging = Bridging::start(mosquitto.port, busy.clone());
    let all: Vec<_> = (1..=60).map(|n| n.to_string()).collect();
    for n in &all[..30] {
        publish(mosquitto.port, "311", "log/a", n).await;
    }
    busy.saw(5).await;
    mosquitto.stop().await;
    tokio::time::sleep(MOMENT).await;
    mosquitto.start_again().await;
    for n in &all[30..] {
        publish(mosquitto.port, "311", "log/a", n).await;
    }
    bridging.stop().await;

    let willing = Arc::new(Recorder::default());
    let bridging = Bridging::start(mosquitto.port, willing.clone());
    until(|| all.iter().all(|n| willing.payloads().contains(n))).await;
    let mut order = numbers(&willing);
    order.dedup();
    assert_eq!(order, all, "each once and in order, when nothing was acknowledged before");
    assert!(
        willing.seen().iter().any(|(from, _)| from.dup),
        "nothing was redelivered, so nothing was tested"
    );
    bridging.stop().await;

    let after = Arc::new(Recorder::default());
    let bridging = Bridging::start(mosquitto.port, after.clone());
    subscribed(mosquitto.port, &after).await;
    assert!(numbers(&after).is_empty(), "acknowledged messages came again");
    bridging.stop().await;
}

#[tokio::test]
async fn a_busy_handler_gets_the_message_again_on_the_same_connection() {
    let Some(mosquitto) = Mosquitto::start().await else { return };
    let recorder = Recorder::answering(vec![Refusal::Busy; 4]);
    let bridging = Bridging::start(mosquitto.port, recorder.clone());
    subscribed(mosquitto.port, &recorder).await;
    publish(mosquitto.port, "311", "log/a", "1").await;
    until(|| numbers(&recorder).len() == 1).await;
    assert!(recorder.payloads().len() > 4, "busy was not repeated");
    assert!(recorder.seen().iter().all(|(from, _)| !from.dup), "the connection was lost");
    bridging.stop().await;
}

#[tokio::test]
async fn what_is_published_while_the_broker_is_away_or_forgetful_arrives() {
    let Some(mut mosquitto) = Mosquitto::start().await else { return };
    let recorder = Arc::new(Recorder::default());
    let bridging = Bridging::start(mosquitto.port, recorder.clone());
    subscribed(mosquitto.port, &recorder).await;
    mosquitto.stop().await;
    mosquitto.forget();
    for n in 0..200 {
        bridging.publisher.publish(&format!("answers/{n}"), "x".into(), 1, true).await.unwrap();
    }
    mosquitto.start_again().await;
    let (mut viewer, _) = Raw::v4(([127, 0, 0, 1], mosquitto.port).into(), "v", true).await;
    viewer.subscribe("answers/#").await;
    // Live or retained: all were published with retain.
    let mut topics = std::collections::BTreeSet::new();
    while topics.len() < 200 {
        let (_, topic, id, _) = viewer.message().await;
        topics.insert(topic);
        viewer.puback(id).await;
    }
    recorder.saw(1).await;
    publish(mosquitto.port, "311", "log/a", "subscribed again").await;
    until(|| numbers(&recorder) == ["subscribed again"]).await;
    bridging.stop().await;
}

#[tokio::test]
async fn a_full_queue_makes_the_publisher_wait() {
    let recorder = Arc::new(Recorder::default());
    let mut config = BridgeConfig::new("ledge-node1", ["a"]);
    config.queue = 3;
    let (bridge, publisher) = Bridge::new("mqtt://127.0.0.1:1", config, recorder).unwrap();
    let stop = CancellationToken::new();
    let task = tokio::spawn(bridge.run(stop.clone()));
    for _ in 0..3 {
        publisher.publish("a", "x".into(), 1, false).await.unwrap();
    }
    assert!(tokio::time::timeout(MOMENT, publisher.publish("a", "x".into(), 1, false)).await.is_err());
    stop.cancel();
    task.await.unwrap();
    assert!(publisher.publish("a", "x".into(), 1, false).await.is_err());
}

#[test]
fn wrong_settings_are_named() {
    let check = |url: &str, config| Bridge::new(url, config, Arc::new(Recorder::default())).err();
    let right = BridgeConfig::new("c", ["a/+"]);
    assert_eq!(check("mqtt://h", right.clone()), None);
    assert!(matches!(check("mqtts://h", right.clone()), Some(BridgeError::Url { .. })));
    assert!(matches!(check("mqtt://h", BridgeConfig::new("c", ["a#"])), Some(BridgeError::Filter { .. })));
    let nameless = BridgeConfig { client_id: String::new(), ..right };
    assert!(matches!(check("mqtt://h", nameless), Some(BridgeError::Setting { setting: "client_id", .. })));
}
