//! Edge and hub over a real link: everything arrives once, whatever becomes of the connection.

use ledge_core::log::Reader;
use ledge_edge::edgehub::Phase;
use ledge_log_rocksdb::RocksReader;
use ledge_process::{ByteSize, HumanDuration};
use ledge_schemas::StreamId;
use ledge_schemas::kinds::Body;
use ledge_schemas::kinds::up::DeviceForgotten;
use serde_json::json;
use std::time::Duration;

use crate::fixture::{Node, Running, events, node, reported};
use crate::hub::{Hub, until};
use crate::mqtt::Device;

const D: &str = "$hw/events/device/default/pump";

async fn report(device: &mut Device, values: std::ops::Range<u32>) {
    let mut last = 0;
    for value in values {
        let update = json!({"twin": {"n": {"actual": {"value": value.to_string()}}}}).to_string();
        last = device.send(&format!("{D}/twin/update"), update.as_bytes()).await;
        if value % 50 == 0 {
            device.acked(last).await;
        }
    }
    device.acked(last).await;
}

async fn live(running: &mut Running) {
    let live = running.hub.wait_for(|state| state.phase == Phase::Live);
    tokio::time::timeout(crate::mqtt::PATIENCE, live).await.expect("no session").unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_go_both_ways_through_cuts_and_both_logs_end_equal() {
    let mut hub = Hub::start().await;
    let edge = Node::joined(&hub.authority, &hub.address());
    let mut running = edge.start().await;
    live(&mut running).await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe(&format!("{D}/twin/update/delta")).await;
    device.subscribe("$hw/events/node/oslo/membership/updated").await;
    hub.put("default", "pump", &[("speed", "1")]).await;
    let members = device.json("$hw/events/node/oslo/membership/updated").await;
    assert_eq!(members["added_devices"][0]["id"], "default/pump");
    assert_eq!(device.json(&format!("{D}/twin/update/delta")).await["delta"], json!({"speed": "1"}));

    report(&mut device, 0..400).await;
    hub.cut().await;
    hub.put("default", "pump", &[("speed", "2")]).await;
    hub.put("default", "valve", &[("open", "yes")]).await;
    report(&mut device, 400..800).await;
    hub.heal().await;
    live(&mut running).await;
    assert_eq!(
        device.json("$hw/events/node/oslo/membership/updated").await["added_devices"][0]["id"],
        "default/valve"
    );
    let delta =
        async { while device.json(&format!("{D}/twin/update/delta")).await["delta"]["speed"] != "2" {} };
    tokio::time::timeout(crate::mqtt::PATIENCE, delta).await.expect("the new wish is not told");
    report(&mut device, 800..1000).await;

    let arrived = || reported(&events(&hub.reader, &StreamId::Up(node())), "n").len();
    until("all reports are in the cloud", || hub.head(StreamId::Up).is_some() && arrived() == 1000).await;
    running.stop().await;
    let local = RocksReader::open_read_only(&edge.layout().log()).unwrap();
    let all: Vec<_> = (0..1000).map(|value| value.to_string()).collect();
    assert_eq!(reported(&events(&hub.reader, &StreamId::Up(node())), "n"), all);
    for stream in [StreamId::Up(node()), StreamId::Down(node())] {
        let (ours, theirs) =
            (local.head(&stream).unwrap().unwrap(), hub.reader.head(&stream).unwrap().unwrap());
        assert_eq!(ours.base.log_id, theirs.base.log_id, "{stream}");
        assert_eq!(
            (ours.tail, ours.chain, ours.cursor),
            (theirs.tail, theirs.chain, theirs.cursor),
            "{stream}"
        );
    }
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_leaves_is_forgotten_once() {
    let hub = Hub::start().await;
    let edge = Node::joined(&hub.authority, &hub.address());
    let mut running = edge.start().await;
    live(&mut running).await;
    hub.put("default", "pump", &[]).await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe("$hw/events/#").await;
    device.publish("$hw/events/node/oslo/membership/get", "{}").await;
    let updated = "$hw/events/node/oslo/membership/updated";
    until("the device came down", || hub.head(StreamId::Down).is_some()).await;
    loop {
        device.publish(&format!("{D}/twin/update"), r#"{"twin":{"n":{"actual":{"value":"1"}}}}"#).await;
        if device.json(&format!("{D}/twin/update/result")).await["code"].is_null() {
            break;
        }
    }
    hub.remove("default", "pump").await;
    loop {
        if device.json(updated).await["removed_devices"][0]["id"] == "default/pump" {
            break;
        }
    }
    device.publish(&format!("{D}/twin/update"), r#"{"twin":{"n":{"actual":{"value":"2"}}}}"#).await;
    let told = async { while device.json(&format!("{D}/twin/update/result")).await["code"] != 404 {} };
    tokio::time::timeout(crate::mqtt::PATIENCE, told).await.unwrap();
    let forgotten = || {
        let events = events(&hub.reader, &StreamId::Up(node()));
        events.iter().filter(|(_, event)| event.kind == DeviceForgotten::KIND).count()
    };
    until("the cloud knows", || hub.head(StreamId::Up).is_some() && forgotten() == 1).await;
    running.stop().await;
    let mut again = edge.start().await;
    live(&mut again).await;
    again.stop().await;
    assert_eq!(forgotten(), 1);
    hub.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_the_cloud_has_proved_is_trimmed() {
    let mut hub = Hub::start().await;
    let edge = Node::joined(&hub.authority, &hub.address());
    let mut config = edge.config();
    config.log.keep_bytes = ByteSize(8 << 10);
    config.log.trim_interval = HumanDuration(Duration::from_millis(50));
    let mut running = edge.start_with(config.clone()).await;
    live(&mut running).await;
    hub.put("default", "pump", &[]).await;
    let mut device = Device::connect(running.mqtt(), "pump").await;
    device.subscribe("$hw/events/node/#").await;
    device.json("$hw/events/node/oslo/membership/updated").await;
    hub.cut().await;
    report(&mut device, 0..500).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.stop().await;
    let base = || {
        let reader = RocksReader::open_read_only(&edge.layout().log()).unwrap();
        let head = reader.head(&StreamId::Up(node())).unwrap().unwrap();
        (head.base.seq.0, head.tail.0)
    };
    let (oldest, tail) = base();
    assert!(oldest < 10 && tail > 500, "trimmed to {oldest} of {tail} although the cloud has none of it");

    hub.heal().await;
    let mut running = edge.start_with(config).await;
    live(&mut running).await;
    until("all is in the cloud", || hub.head(StreamId::Up).is_some_and(|head| head.tail.0 >= tail)).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    running.stop().await;
    let (oldest, _) = base();
    assert!(oldest > 100, "nothing was trimmed: the base is {oldest}");
    hub.stop().await;
}
