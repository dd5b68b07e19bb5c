//! SIGKILL under load, at random moments: what was answered is in the log once, in order; what was not is
//! sent again and is there once too.

use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::json;

use crate::fixture::{Node, reported};
use crate::mqtt::{Device, Packet};
use crate::process::Process;

const D: &str = "$hw/events/device/default/pump";
const KILLS: usize = 8;
/// Updates under way at once.
const WINDOW: usize = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_edge_holds_every_answered_update_once_and_in_order() {
    let node = Node::alone().with_devices(&[("default", "pump", &[])]);
    let (update, result) = (format!("{D}/twin/update"), format!("{D}/twin/update/result"));
    let body = |serial: usize| {
        json!({"event_id": serial.to_string(), "twin": {"n": {"actual": {"value": serial.to_string()}}}})
            .to_string()
    };
    let id = |serial: usize| u16::try_from(serial % 60_000 + 1).unwrap();
    let (mut acked, mut sent, mut answered) = (0, 0, Vec::new());
    for kill in 0..=KILLS {
        let process = Process::start(node.path(), &["--mqtt-listen", "127.0.0.1:0"]).await;
        let mut device = Device::connect(process.mqtt(), "pump").await;
        device.subscribe(&result).await;
        // As MQTT demands: what was not acknowledged is sent again, in order, with DUP.
        for serial in acked..sent {
            device.send_as(&update, body(serial).as_bytes(), id(serial), true).await.unwrap();
        }
        let until = Instant::now() + Duration::from_millis(rand::rng().random_range(50..400));
        let last = kill == KILLS;
        while if last { acked < sent } else { Instant::now() < until } {
            while sent < acked + WINDOW && !last {
                device.send_as(&update, body(sent).as_bytes(), id(sent), false).await.unwrap();
                sent += 1;
            }
            match device.receive().await.unwrap() {
                Packet::Acked(got) => {
                    assert_eq!(got, id(acked), "acknowledgements leave in order");
                    acked += 1;
                }
                Packet::Message { payload, .. } => {
                    let answer: serde_json::Value = serde_json::from_slice(&payload).unwrap();
                    assert_eq!(answer.get("code"), None, "{answer}");
                    answered.push(answer["event_id"].as_str().unwrap().to_owned());
                }
            }
        }
        match last {
            false => process.kill().await,
            true => process.terminate().await,
        }
    }
    assert!(sent > 10 * KILLS, "only {sent} updates: the kills met no load");
    let log = reported(&node.up_events(), "n");
    let all: Vec<_> = (0..sent).map(|serial| serial.to_string()).collect();
    assert_eq!(log, all, "every update once and in order");
    assert!(answered.iter().all(|serial| log.contains(serial)));
}
