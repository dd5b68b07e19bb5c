//! With a mosquitto that is there already: the same answers, through the bridge.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use crate::fixture::{Node, reported};
use crate::mqtt::{Device, PATIENCE};

const D: &str = "$hw/events/device/default/pump";
const MOSQUITTO: &str = "/usr/sbin/mosquitto";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_of_an_external_broker_are_answered_through_it() {
    if !Path::new(MOSQUITTO).exists() {
        eprintln!("SKIPPED: {MOSQUITTO} is not installed, and this test is about it");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let config = format!("listener {port} 127.0.0.1\nallow_anonymous true\nlog_type error\nuser root\n");
    std::fs::write(dir.path().join("conf"), config).unwrap();
    let mut mosquitto = tokio::process::Command::new(MOSQUITTO)
        .arg("-c")
        .arg(dir.path().join("conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let addr = SocketAddr::from(([127, 0, 0, 1], port));
    let device = async {
        loop {
            if let Ok(device) = Device::try_connect(addr, "pump").await {
                return device;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let mut device = tokio::time::timeout(PATIENCE, device).await.expect("mosquitto does not listen");
    device.subscribe(&format!("{D}/#")).await;

    let node = Node::alone().with_devices(&[("default", "pump", &[("speed", "40")])]);
    let mut config = node.config();
    config.mqtt.broker = Some(format!("mqtt://127.0.0.1:{port}"));
    let running = node.start_with(config).await;
    // The first delta says that the bridge is there.
    assert_eq!(device.json(&format!("{D}/twin/update/delta")).await["delta"], json!({"speed": "40"}));
    for value in 0..50 {
        let update = json!({"event_id": value.to_string(), "twin": {"speed": {"actual": {"value": value.to_string()}}}});
        device.publish(&format!("{D}/twin/update"), update.to_string()).await;
        let result = device.json(&format!("{D}/twin/update/result")).await;
        assert_eq!(result["event_id"], value.to_string());
    }
    running.stop().await;
    mosquitto.kill().await.unwrap();
    let all: Vec<_> = (0..50).map(|value| value.to_string()).collect();
    assert_eq!(reported(&node.up_events(), "speed"), all);
}
