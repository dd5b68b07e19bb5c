//! What clients see on the wire: errors, watches, pages, deletion in the background.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Server, device};

const DEVICES: &str = "/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices";
const STATUSES: &str = "/apis/devices.kubeedge.io/v1beta1/namespaces/default/devicestatuses";
const CONFIG_MAPS: &str = "/api/v1/namespaces/default/configmaps";

fn config(name: &str) -> Value {
    json!({ "metadata": { "name": name, "labels": { "n": name } }, "data": { "a": "b" } })
}

#[tokio::test]
async fn only_known_and_allowed_clients_are_served() {
    let server = Server::start(100).await;
    for open in ["/healthz", "/livez", "/readyz", "/version"] {
        assert_eq!(server.request_as(None, "GET", open, &[], b"").await.code, 200, "{open}");
    }
    let refused = server.request_as(None, "GET", "/api/v1/nodes", &[], b"").await.expect(401);
    assert_eq!((&refused["reason"], &refused["kind"]), (&json!("Unauthorized"), &json!("Status")));
    let refused = server.request_as(Some(&server.stranger), "GET", DEVICES, &[], b"").await;
    let message = refused.message(403);
    assert_eq!(
        message,
        r#"devices.devices.kubeedge.io is forbidden: User "stranger" cannot list resource "devices" in API group "devices.kubeedge.io" in the namespace "default""#
    );
    assert_eq!(server.request_as(Some(&server.stranger), "GET", "/apis", &[], b"").await.code, 200);
}

#[tokio::test]
async fn errors_have_the_code_and_reason_of_a_kubernetes_server() {
    let server = Server::start(100).await;
    let json_type = [("content-type", "application/json")];
    server.get("/api/v1/pods").await.expect(404);
    server.get("/nothing").await.expect(404);
    server.post("/api/v1/configmaps", &config("a")).await.expect(405);
    server.request("DELETE", "/api/v1/namespaces", &[], b"").await.expect(405);
    server.request("POST", CONFIG_MAPS, &json_type, b"{").await.expect(400);
    server.request("POST", CONFIG_MAPS, &[("content-type", "text/plain")], b"{}").await.expect(415);
    server
        .request("POST", DEVICES, &[("content-type", "application/vnd.kubernetes.protobuf")], b"k8s\0")
        .await
        .expect(415);
    server
        .request("GET", CONFIG_MAPS, &[("accept", "application/vnd.kubernetes.protobuf")], b"")
        .await
        .expect(406);
    server.request("POST", CONFIG_MAPS, &json_type, &vec![b' '; 3 * 1024 * 1024 + 1]).await.expect(413);
    server.get(&format!("{CONFIG_MAPS}?labelSelector=a+b")).await.expect(400);
    server.get(&format!("{CONFIG_MAPS}?limit=x")).await.expect(400);
    server.get(&format!("{CONFIG_MAPS}?resourceVersion=x")).await.expect(422);
    server.get(&format!("{CONFIG_MAPS}?continue=bogus")).await.expect(400);
    let error = server.post(CONFIG_MAPS, &json!({ "metadata": {} })).await.expect(422);
    assert_eq!(
        error["details"]["causes"][0],
        json!({ "reason": "FieldValueRequired", "field": "metadata.name",
        "message": "Required value: name or generateName is required" })
    );
    let mut with_version = config("a");
    with_version["metadata"]["resourceVersion"] = json!("1");
    server.post(CONFIG_MAPS, &with_version).await.expect(500);
    server.post(CONFIG_MAPS, &json!({ "metadata": { "name": "a" }, "data": { "a": 1 } })).await.expect(400);
    server.post(DEVICES, &json!({ "metadata": { "name": "a" } })).await.expect(400);
    server.patch(&format!("{DEVICES}/a"), "application/apply-patch+yaml", &json!({})).await.expect(415);
    let far = server.get(&format!("{CONFIG_MAPS}?resourceVersion=999999")).await;
    assert!(far.head.contains("retry-after: 1"), "{}", far.head);
    assert_eq!(far.expect(504)["details"]["causes"][0]["reason"], "ResourceVersionTooLarge");
}

#[tokio::test]
async fn bodies_may_be_yaml_and_names_generated() {
    let server = Server::start(100).await;
    let yaml = b"metadata: { generateName: made- }\ndata: { a: b }\n";
    let made =
        server.request("POST", CONFIG_MAPS, &[("content-type", "application/yaml")], yaml).await.expect(201);
    let name = made["metadata"]["name"].as_str().unwrap();
    assert!(name.starts_with("made-") && name.len() == 10, "{name}");
    let shown =
        server.request("GET", &format!("{CONFIG_MAPS}/{name}"), &[("accept", "application/yaml")], b"").await;
    assert!(
        shown.text.contains("generateName: made-") && shown.head.contains("application/yaml"),
        "{}",
        shown.text
    );
}

#[tokio::test]
async fn dry_runs_and_unchanged_writes_store_nothing() {
    let server = Server::start(100).await;
    server.post(&format!("{CONFIG_MAPS}?dryRun=All"), &config("a")).await.expect(201);
    server.get(&format!("{CONFIG_MAPS}/a")).await.expect(404);
    let made = server.post(CONFIG_MAPS, &config("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    let same = server.put(&path, &config("a")).await.expect(200);
    assert_eq!(same["metadata"]["resourceVersion"], made["metadata"]["resourceVersion"]);
    server.request("DELETE", &format!("{path}?dryRun=All"), &[], b"").await.expect(200);
    server.get(&path).await.expect(200);
    server.post(&format!("{CONFIG_MAPS}?dryRun=Some"), &config("b")).await.expect(422);
}

#[tokio::test]
async fn generation_counts_changes_of_what_is_wanted() {
    let server = Server::start(100).await;
    let path = format!("{DEVICES}/d");
    let mut made = server.post(DEVICES, &device("d", "e")).await.expect(201);
    assert_eq!(made["metadata"]["generation"], 1);
    made["metadata"]["labels"] = json!({ "a": "b" });
    let mut labelled = server.put(&path, &made).await.expect(200);
    assert_eq!(labelled["metadata"]["generation"], 1);
    labelled["spec"]["nodeName"] = json!("f");
    assert_eq!(server.put(&path, &labelled).await.expect(200)["metadata"]["generation"], 2);
    let mut without = device("d", "g");
    let refused = server.put(&path, &without).await.message(422);
    assert!(refused.contains("metadata.resourceVersion: Invalid value: 0"), "{refused}");
    without["metadata"]["resourceVersion"] = made["metadata"]["resourceVersion"].clone();
    server.put(&path, &without).await.expect(409);
}

#[tokio::test]
async fn status_of_a_node_is_written_apart() {
    let server = Server::start(100).await;
    server.post("/api/v1/nodes", &json!({ "metadata": { "name": "n" } })).await.expect(201);
    let merge = "application/merge-patch+json";
    let both = json!({ "spec": { "unschedulable": true }, "status": { "phase": "x" } });
    let main = server.patch("/api/v1/nodes/n", merge, &both).await.expect(200);
    assert_eq!((&main["spec"]["unschedulable"], &main["status"]["phase"]), (&json!(true), &Value::Null));
    let status = json!({ "spec": { "unschedulable": false }, "status": { "phase": "y" } });
    let part = server.patch("/api/v1/nodes/n/status", merge, &status).await.expect(200);
    assert_eq!((&part["spec"]["unschedulable"], &part["status"]["phase"]), (&json!(true), &json!("y")));
    server.get(&format!("{DEVICES}/d/status")).await.expect(404);
}

#[tokio::test]
async fn a_watch_resumes_where_it_stopped() {
    let server = Server::start(100).await;
    server.post(CONFIG_MAPS, &config("a")).await.expect(201);
    let listed = server.get(CONFIG_MAPS).await.expect(200);
    let from = listed["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={from}")).await;
    server.post(CONFIG_MAPS, &config("b")).await.expect(201);
    let event = watch.next().await.unwrap();
    assert_eq!((&event["type"], &event["object"]["metadata"]["name"]), (&json!("ADDED"), &json!("b")));
    let at = event["object"]["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    drop(watch);
    server
        .patch(&format!("{CONFIG_MAPS}/a"), "application/merge-patch+json", &json!({ "data": { "a": "c" } }))
        .await
        .expect(200);
    server.request("DELETE", &format!("{CONFIG_MAPS}/b"), &[], b"").await.expect(200);
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion={at}")).await;
    assert_eq!(watch.step().await, ("MODIFIED".to_owned(), "a".to_owned()));
    let gone = watch.next().await.unwrap();
    assert_eq!(gone["type"], "DELETED");
    let number = |value: &Value| value.as_str().unwrap().parse::<u64>().unwrap();
    assert!(number(&gone["object"]["metadata"]["resourceVersion"]) > number(&json!(at)) + 1);
}

#[tokio::test]
async fn a_watch_from_before_the_history_is_told_that_it_expired() {
    let server = Server::start(5).await;
    for n in 0..10 {
        server.post(CONFIG_MAPS, &config(&format!("c{n}"))).await.expect(201);
    }
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1&resourceVersion=1")).await;
    let event = watch.next().await.unwrap();
    assert_eq!(
        (&event["type"], &event["object"]["code"], &event["object"]["reason"]),
        (&json!("ERROR"), &json!(410), &json!("Expired"))
    );
    assert!(
        event["object"]["message"].as_str().unwrap().starts_with("too old resource version: 1 ("),
        "{event}"
    );
    assert_eq!(watch.next().await, None);
}

#[tokio::test]
async fn a_watch_sees_objects_come_into_and_leave_its_selection() {
    let server = Server::start(100).await;
    let mut watch = server.watch(&format!("{DEVICES}?watch=1&fieldSelector=spec.nodeName%3De1")).await;
    server.post(DEVICES, &device("d", "e1")).await.expect(201);
    server.post(DEVICES, &device("other", "e2")).await.expect(201);
    assert_eq!(watch.step().await, ("ADDED".to_owned(), "d".to_owned()));
    for (node, kind) in [("e2", "DELETED"), ("e1", "ADDED")] {
        let patch = json!({ "spec": { "nodeName": node } });
        server.patch(&format!("{DEVICES}/d"), "application/merge-patch+json", &patch).await.expect(200);
        assert_eq!(watch.step().await, (kind.to_owned(), "d".to_owned()));
    }
}

#[tokio::test]
async fn watches_begin_with_the_state_send_bookmarks_and_end_in_time() {
    let server =
        Server::start_with(100, |options| options.bookmark_interval = Duration::from_millis(100)).await;
    server.post(CONFIG_MAPS, &config("a")).await.expect(201);
    let mut watch =
        server.watch(&format!("{CONFIG_MAPS}?watch=1&allowWatchBookmarks=true&timeoutSeconds=1")).await;
    assert_eq!(watch.step().await, ("ADDED".to_owned(), "a".to_owned()));
    let mut bookmarks = 0;
    while let Some(event) = watch.next().await {
        assert_eq!((&event["type"], &event["object"]["kind"]), (&json!("BOOKMARK"), &json!("ConfigMap")));
        bookmarks += 1;
    }
    assert!(bookmarks >= 3, "{bookmarks}");
    let initial = format!(
        "{CONFIG_MAPS}?watch=1&allowWatchBookmarks=true&sendInitialEvents=true&resourceVersionMatch=NotOlderThan"
    );
    let mut watch = server.watch(&initial).await;
    assert_eq!(watch.step().await.0, "ADDED");
    let end = watch.next().await.unwrap();
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
}

#[tokio::test]
async fn pages_show_one_state_even_if_objects_change_meanwhile() {
    let server = Server::start(100).await;
    for name in ["a", "b", "c", "d", "e"] {
        server.post(CONFIG_MAPS, &config(name)).await.expect(201);
    }
    let names = |list: &Value| {
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["metadata"]["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let first = server.get(&format!("{CONFIG_MAPS}?limit=2")).await.expect(200);
    assert_eq!(
        (names(&first), &first["metadata"]["remainingItemCount"]),
        (vec!["a".to_owned(), "b".to_owned()], &json!(3))
    );
    server.request("DELETE", &format!("{CONFIG_MAPS}/c"), &[], b"").await.expect(200);
    let token = first["metadata"]["continue"].as_str().unwrap();
    let second = server.get(&format!("{CONFIG_MAPS}?limit=9&continue={token}")).await.expect(200);
    assert_eq!(names(&second), ["c", "d", "e"]);
    assert_eq!(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
    let version = first["metadata"]["resourceVersion"].as_str().unwrap();
    let exact = server
        .get(&format!("{CONFIG_MAPS}?resourceVersion={version}&resourceVersionMatch=Exact"))
        .await
        .expect(200);
    assert_eq!(names(&exact).len(), 5);
    server.get(&format!("{CONFIG_MAPS}?resourceVersion=2&resourceVersionMatch=Exact")).await.expect(410);
}

#[tokio::test]
async fn finalizers_keep_an_object_until_they_are_gone() {
    let server = Server::start(100).await;
    let path = format!("{CONFIG_MAPS}/a");
    let mut object = config("a");
    object["metadata"]["finalizers"] = json!(["example.com/hold"]);
    server.post(CONFIG_MAPS, &object).await.expect(201);
    let marked = server.request("DELETE", &path, &[], b"").await.expect(200);
    assert!(marked["metadata"]["deletionTimestamp"].is_string());
    let merge = "application/merge-patch+json";
    let more = json!({ "metadata": { "finalizers": ["example.com/hold", "example.com/more"] } });
    assert!(server.patch(&path, merge, &more).await.message(422).contains("no new finalizers can be added"));
    server.patch(&path, merge, &json!({ "metadata": { "finalizers": null } })).await.expect(200);
    server.get(&path).await.expect(404);
}

#[tokio::test]
async fn preconditions_guard_a_deletion() {
    let server = Server::start(100).await;
    let made = server.post(CONFIG_MAPS, &config("a")).await.expect(201);
    let path = format!("{CONFIG_MAPS}/a");
    server.delete(&path, &json!({ "preconditions": { "uid": "other" } })).await.expect(409);
    server.delete(&path, &json!({ "preconditions": { "resourceVersion": "1" } })).await.expect(409);
    let gone = server
        .delete(&path, &json!({ "preconditions": { "uid": made["metadata"]["uid"] } }))
        .await
        .expect(200);
    assert_eq!(
        (&gone["status"], &gone["details"]["kind"], &gone["details"]["name"]),
        (&json!("Success"), &json!("configmaps"), &json!("a"))
    );
    server.post(CONFIG_MAPS, &config("x")).await.expect(201);
    server.post(CONFIG_MAPS, &config("y")).await.expect(201);
    server.request("DELETE", &format!("{CONFIG_MAPS}?labelSelector=n%3Dx"), &[], b"").await.expect(200);
    assert_eq!(server.get(CONFIG_MAPS).await.expect(200)["items"].as_array().unwrap().len(), 1);
}

/// A device and a status that it owns.
async fn owned(server: &Server) {
    let made = server.post(DEVICES, &device("d", "e")).await.expect(201);
    let status = json!({ "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceStatus", "metadata": { "name": "d",
        "ownerReferences": [{ "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "name": "d",
            "uid": made["metadata"]["uid"], "blockOwnerDeletion": true }] } });
    server.post(STATUSES, &status).await.expect(201);
}

#[tokio::test]
async fn dependents_follow_their_owner() {
    let server = Server::start(1000).await;
    for policy in ["Background", "Foreground"] {
        owned(&server).await;
        server.delete(&format!("{DEVICES}/d"), &json!({ "propagationPolicy": policy })).await.expect(200);
        server.wait_gone(&format!("{STATUSES}/d")).await;
        server.wait_gone(&format!("{DEVICES}/d")).await;
    }
    owned(&server).await;
    server.delete(&format!("{DEVICES}/d"), &json!({ "propagationPolicy": "Orphan" })).await.expect(200);
    server.wait_gone(&format!("{DEVICES}/d")).await;
    let orphan = server.get(&format!("{STATUSES}/d")).await.expect(200);
    assert_eq!(orphan["metadata"]["ownerReferences"], Value::Null);
}

#[tokio::test]
async fn a_watcher_that_does_not_read_is_cut_off() {
    let server =
        Server::start_with(10_000, |options| options.watch_write_timeout = Duration::from_millis(200)).await;
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    let mut large = config("large");
    large["data"]["a"] = json!("x".repeat(1_000_000));
    for n in 0..100 {
        large["metadata"]["name"] = json!(format!("large{n}"));
        server.post(CONFIG_MAPS, &large).await.expect(201);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut seen = 0;
    while watch.next().await.is_some() {
        seen += 1;
    }
    assert!((1..100).contains(&seen), "{seen}");
}

#[tokio::test]
async fn the_stop_ends_watches_and_the_listener() {
    let server = Server::start(100).await;
    let mut watch = server.watch(&format!("{CONFIG_MAPS}?watch=1")).await;
    server.stop.cancel();
    let done = server.done;
    tokio::time::timeout(Duration::from_secs(3), done).await.unwrap().unwrap();
    assert_eq!(watch.next().await, None);
}
