//! Who may have a session, and what the Node shows of it.

use ledge_core::sync::CloseReason;
use ledge_core::sync::message::RefuseCode;
use ledge_schemas::NodeName;
use ledge_session::Ended;
use ledge_transport::ConnectError;
use serde_json::Value;

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::eventually;

async fn condition(cloud: &Cloud, node: &str, kind: &str) -> Option<(String, String)> {
    let node = cloud.api("Node", "").await.get_opt(node).await.unwrap()?;
    let conditions = node.data.pointer("/status/conditions")?.as_array()?.clone();
    let found = conditions.iter().find(|condition| condition["type"] == *kind)?;
    let text = |field: &str| found[field].as_str().unwrap_or_default().to_owned();
    Some((text("status"), text("message")))
}

async fn becomes(cloud: &Cloud, node: &str, kind: &str, status: &str) -> String {
    eventually(&format!("{kind} of {node} is {status}"), async || {
        condition(cloud, node, kind).await.filter(|(is, _)| is == status).map(|(_, message)| message)
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_is_ready_while_it_has_a_session() {
    let cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    becomes(&cloud, "oslo", "Ready", "Unknown").await;
    let online = oslo.online(&cloud).await;
    becomes(&cloud, "oslo", "Ready", "True").await;
    becomes(&cloud, "oslo", "LedgeBehind", "False").await;
    let node = cloud.api("Node", "").await.get("oslo").await.unwrap();
    let labels = node.metadata.labels.unwrap();
    assert_eq!(labels["kubernetes.io/hostname"], "oslo");
    assert!(labels.contains_key("node-role.kubernetes.io/edge"));
    online.cut().await;
    becomes(&cloud, "oslo", "Ready", "Unknown").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_speaks_as_another_is_refused() {
    let cloud = Cloud::start();
    let (oslo, bergen) = (Edge::joined(&cloud, "oslo").await, Edge::joined(&cloud, "bergen").await);
    let _online = bergen.online(&cloud).await;
    let ended = oslo.connect(&cloud, &NodeName::new("bergen").unwrap()).ended().await.unwrap();
    assert!(
        matches!(&ended, Ended::Over { reason: CloseReason::Refused(RefuseCode::Identity, _), .. }),
        "{ended:?}"
    );
    assert_eq!(cloud.json(&["node", "list"])[0]["state"], "live", "bergen did not notice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_session_ends_the_one_before() {
    let cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    let first = oslo.online(&cloud).await;
    let second = oslo.online(&cloud).await;
    assert!(second.session() > first.session());
    first.ended().await.unwrap();
    assert_eq!(cloud.json(&["node", "list"])[0]["state"], "live");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_machine_that_takes_a_name_over_locks_the_old_one_out() {
    let cloud = Cloud::start();
    let old = Edge::joined(&cloud, "oslo").await;
    let online = old.online(&cloud).await;
    let mut new = Edge::new("oslo");
    new.join(&cloud, &cloud.token(&["--node", "oslo", "--rejoin"])).await.unwrap();
    online.ended().await.unwrap();
    match old.connect(&cloud, &old.node).ended().await {
        Err(ConnectError::Refused { reason, .. }) => assert!(reason.contains("revoked"), "{reason}"),
        other => panic!("{other:?}"),
    }
    let _online = new.online(&cloud).await;
    new.report("t1", "temperature", ["1".to_owned()]).await;
    cloud.place("t1", "oslo", "1").await;
    new.has("t1", "1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_quarantined_until_an_operator_decides() {
    let cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    oslo.online(&cloud).await.cut().await;
    // The same certificate over an older store.
    let mut copy = Edge::new("oslo");
    copy.credentials.clone_from(&oslo.credentials);
    let ended = copy.connect(&cloud, &copy.node).ended().await.unwrap();
    assert!(
        matches!(&ended, Ended::Over { reason: CloseReason::Refused(RefuseCode::Quarantined, _), .. }),
        "{ended:?}"
    );
    let message = becomes(&cloud, "oslo", "LedgeQuarantined", "True").await;
    let command = format!("ledge-cloud node resolve oslo --keep {}", copy.log_id());
    assert!(message.contains(&command), "{message}");
    let listed = cloud.json(&["node", "list"]);
    assert_eq!(listed[0]["quarantine"][1], Value::String(copy.log_id().to_string()));
    let resolved = cloud.run(&["node", "resolve", "oslo", "--keep", &copy.log_id().to_string()]);
    assert!(resolved.status.success());
    let _online = copy.online(&cloud).await;
    becomes(&cloud, "oslo", "LedgeQuarantined", "False").await;
}
