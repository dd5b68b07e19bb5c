//! A cloud that lost what it knew removes nothing until an operator says so.

use kube::api::DeleteParams;

use crate::cloud::Cloud;
use crate::edge::Edge;
use crate::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_store_takes_nothing_from_nodes_and_gets_their_objects_back() {
    let mut cloud = Cloud::start();
    let oslo = Edge::joined(&cloud, "oslo").await;
    let online = oslo.online(&cloud).await;
    cloud.place("t1", "oslo", "21").await;
    cloud.place("t2", "oslo", "5").await;
    oslo.has("t1", "21").await;
    oslo.has("t2", "5").await;
    online.cut().await;

    cloud.kill();
    std::fs::remove_dir_all(cloud.dir.join("log")).unwrap();
    cloud.restart();
    let mut online = oslo.connect(&cloud, &oslo.node);
    eventually("recovering, and live", async || {
        if online.session() == 0 {
            online = oslo.connect(&cloud, &oslo.node);
            tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        }
        (online.session() > 0 && cloud.json(&["status"])["recovering"].is_string()).then_some(())
    })
    .await;
    let devices = cloud.api("Device", "default").await;
    let t1 = eventually("t1 is imported", async || devices.get_opt("t1").await.unwrap()).await;
    let origin = &t1.metadata.annotations.unwrap()["ledge.dev/recovered-from"];
    assert!(origin.starts_with("oslo/"), "{origin}");
    eventually("t2 is imported", async || devices.get_opt("t2").await.unwrap()).await;
    oslo.has("t1", "21").await;

    // What is deleted now stays on the node until someone accepts.
    devices.delete("t2", &DeleteParams::default()).await.unwrap();
    let preview = eventually("t2 is held back", async || {
        let preview = cloud.json(&["recover"]);
        (preview["removals"].as_array().unwrap().len() == 1).then_some(preview)
    })
    .await;
    assert_eq!(preview["removals"][0]["object"], "devices.devices.kubeedge.io/default/t2");
    assert!(oslo.device("t2").is_some());
    assert_eq!(cloud.run(&["recover"]).status.code(), Some(1));

    assert!(cloud.run(&["recover", "--accept"]).status.success());
    oslo.lacks("t2").await;
    oslo.has("t1", "21").await;
    assert!(cloud.json(&["status"])["recovering"].is_null());
    assert_eq!(cloud.run(&["recover"]).status.code(), Some(0));
}
