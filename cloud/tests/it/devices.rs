//! What the API wants reaches the node; what the node reports reaches the API.

use futures::StreamExt;
use kube::api::{DeleteParams, WatchParams};
use ledge_core::log::Reader;
use ledge_schemas::StreamId;
use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::eventually;

async fn status(cloud: &Cloud, name: &str) -> Option<Value> {
    let object = cloud.api("DeviceStatus", "default").await.get_opt(name).await.unwrap()?;
    Some(serde_json::to_value(object).unwrap())
}

/// Waits until the API shows this value as reported.
async fn shows(cloud: &Cloud, name: &str, value: &str) -> Value {
    eventually(&format!("{name} reported {value}"), async || {
        let status = status(cloud, name).await?;
        (status["status"]["twins"][0]["reported"]["value"] == *value).then_some(status)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_reaches_its_node_changes_moves_and_goes() {
    let cloud = Cloud::start();
    let (oslo, bergen) = (Edge::joined(&cloud, "oslo").await, Edge::joined(&cloud, "bergen").await);
    let (_oslo, _bergen) = (oslo.online(&cloud).await, bergen.online(&cloud).await);
    cloud.place("t1", "oslo", "21").await;
    oslo.has("t1", "21").await;
    let model = oslo.object("devicemodels.devices.kubeedge.io/default/thermo").unwrap();
    assert_eq!(model["spec"]["properties"][0]["name"], "temperature");
    let device = oslo.device("t1").unwrap();
    assert_eq!(device["metadata"].get("resourceVersion"), None, "a projection goes down");

    cloud.place("t1", "oslo", "22").await;
    oslo.has("t1", "22").await;
    assert_eq!(bergen.device("t1"), None);

    cloud.place("t1", "bergen", "22").await;
    bergen.has("t1", "22").await;
    oslo.lacks("t1").await;
    eventually("the model leaves with its last device", async || {
        oslo.object("devicemodels.devices.kubeedge.io/default/thermo").is_none().then_some(())
    })
    .await;

    cloud.api("Device", "default").await.delete("t1", &DeleteParams::default()).await.unwrap();
    bergen.lacks("t1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_becomes_a_status_that_says_where_it_comes_from() {
    let cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    let _online = oslo.online(&cloud).await;
    cloud.place("t1", "oslo", "21").await;
    oslo.has("t1", "21").await;
    oslo.report("t1", "temperature", ["19".to_owned(), "20".to_owned()]).await;
    let shown = shows(&cloud, "t1", "20").await;
    assert_eq!(
        shown["status"]["twins"],
        json!([{ "propertyName": "temperature", "reported": {
        "value": "20", "metadata": { "timestamp": "1800000000000", "type": "int" } } }])
    );
    assert_eq!(shown["status"]["extensions"]["ledge"]["observedPosition"], "1:2");
    let device = cloud.api("Device", "default").await.get("t1").await.unwrap();
    assert_eq!(shown["metadata"]["ownerReferences"][0]["uid"], json!(device.metadata.uid));

    // The Device goes, and its status with it.
    cloud.api("Device", "default").await.delete("t1", &DeleteParams::default()).await.unwrap();
    eventually("no status", async || status(&cloud, "t1").await.is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reports_and_their_status_writes_append_nothing_to_down() {
    let cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    let _online = oslo.online(&cloud).await;
    cloud.place("t1", "oslo", "21").await;
    oslo.has("t1", "21").await;
    let before = oslo.down();
    let began = cloud.json(&["status"])["cluster"].clone();
    for chunk in 0..100 {
        oslo.report("t1", "temperature", (0..10).map(|n| (chunk * 10 + n).to_string())).await;
    }
    shows(&cloud, "t1", "999").await;
    assert_eq!(oslo.down(), before, "1,000 reports and their status writes");
    assert_eq!(cloud.json(&["node", "list"])[0]["down"], json!(before.unwrap().to_string()));
    let seq = |text: &Value| text.as_str().unwrap().split_once(':').unwrap().1.parse::<u64>().unwrap();
    let writes = seq(&cloud.json(&["status"])["cluster"]) - seq(&began);
    assert!(writes < 500, "latest only: {writes} writes for 1,000 reports");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_while_either_side_was_away_arrives() {
    let mut cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    let online = oslo.online(&cloud).await;
    cloud.place("t1", "oslo", "21").await;
    oslo.has("t1", "21").await;
    online.cut().await;
    oslo.report("t1", "temperature", (0..300).map(|n| n.to_string())).await;
    cloud.place("t1", "oslo", "23").await;
    cloud.place("t2", "oslo", "5").await;
    cloud.kill();
    cloud.restart();
    let online = oslo.online(&cloud).await;
    assert!(online.session() >= 2);
    oslo.has("t1", "23").await;
    oslo.has("t2", "5").await;
    shows(&cloud, "t1", "299").await;
    // Killed under load: what was written while it ran is there, once, in order.
    oslo.report("t1", "temperature", (300..2_000).map(|n| n.to_string())).await;
    cloud.kill();
    drop(online);
    cloud.restart();
    let _online = oslo.online(&cloud).await;
    shows(&cloud, "t1", "1999").await;
    let edge_head = oslo.reader.head(&StreamId::Up(oslo.node.clone())).unwrap().unwrap();
    assert_eq!(edge_head.tail.0, 2_000);
    eventually("the same tail in the cloud", async || {
        (cloud.json(&["node", "list"])[0]["up"] == "1:2000").then_some(())
    })
    .await;
    assert_eq!(cloud.json(&["node", "list"])[0]["regressions"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_resumes_at_any_version_it_saw() {
    let cloud = Cloud::start();
    let api = cloud.api("Device", "default").await;
    cloud.place("t1", "oslo", "1").await;
    let version = api.get("t1").await.unwrap().metadata.resource_version.unwrap();
    for value in 2..30 {
        cloud.place("t1", "oslo", &value.to_string()).await;
    }
    let changes = api.watch(&WatchParams::default(), &version).await.unwrap();
    let seen: Vec<Value> = changes
        .take(28)
        .map(|event| match event.unwrap() {
            kube::api::WatchEvent::Modified(object) => {
                object.data["spec"]["properties"][0]["desired"]["value"].clone()
            }
            other => panic!("{other:?}"),
        })
        .collect()
        .await;
    let expected: Vec<Value> = (2..30).map(|value| json!(value.to_string())).collect();
    assert_eq!(seen, expected);
    match api.watch(&WatchParams::default(), "1").await.unwrap().boxed().next().await {
        Some(Ok(kube::api::WatchEvent::Error(status))) => assert_eq!(status.code, 410),
        Some(Err(kube::Error::Api(status))) => assert_eq!(status.code, 410),
        other => panic!("{other:?}"),
    }
}
