//! Stock kubectl against the server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::time::Duration;

use serde_json::Value;
use support::{KUBECTL, Server};
use tokio::io::{AsyncBufReadExt, BufReader};

const DEVICE: &str = "
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata:
  name: sensor
  labels: { room: kitchen }
spec:
  deviceModelRef: { name: thermometer }
  nodeName: edge-1
  properties:
    - name: temperature
      desired: { value: \"20\" }
      reportCycle: 1000
      visitors: { protocolName: modbus, configData: { register: CoilRegister, offset: 2 } }
  protocol: { protocolName: modbus, configData: { port: 502 } }
";

const CONFIG: &str = "
apiVersion: v1
kind: ConfigMap
metadata: { name: settings }
data: { a: \"1\", b: \"2\" }
";

const NODE: &str = "
apiVersion: v1
kind: Node
metadata:
  name: edge-1
  labels: { node-role.kubernetes.io/edge: \"\" }
spec:
  taints: [{ key: edge, effect: NoSchedule }]
";

/// `None`, and a word about it, where there is no kubectl.
async fn server() -> Option<Server> {
    if !std::path::Path::new(KUBECTL).exists() {
        eprintln!("SKIPPED: there is no {KUBECTL} on this machine");
        return None;
    }
    Some(Server::start(10_000).await)
}

#[track_caller]
fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_resources_and_explain() {
    let Some(server) = server().await else { return };
    has(&server.kubectl("version", "").await, &["Server Version: v1.32"]);
    let resources = server.kubectl("api-resources", "").await;
    has(
        &resources,
        &[
            "configmaps",
            "cm",
            "nodes",
            "no ",
            "namespaces",
            "ns ",
            "devices ",
            "devicemodels",
            "devicestatuses",
            "devices.kubeedge.io/v1beta1",
        ],
    );
    has(&server.kubectl("api-versions", "").await, &["devices.kubeedge.io/v1beta1", "v1"]);
    let explained = server.kubectl("explain device.spec.properties.desired", "").await;
    has(
        &explained,
        &["GROUP:", "devices.kubeedge.io", "KIND:", "Device", "value", "-required-", "The value wanted"],
    );
    has(
        &server.kubectl("explain devices --recursive", "").await,
        &["pushMethod", "influxdb2ClientConfig", "configData"],
    );
    has(&server.kubectl("explain node.status.conditions", "").await, &["lastHeartbeatTime"]);
    has(&server.kubectl("explain configmap.metadata", "").await, &["ownerReferences", "creationTimestamp"]);
    has(&server.kubectl("get --raw /readyz", "").await, &["ok"]);
    has(&server.kubectl("get --raw /openapi/v2", "").await, &["swagger"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn get_in_every_form() {
    let Some(server) = server().await else { return };
    server.kubectl("create -f -", DEVICE).await;
    server.kubectl("create -f -", NODE).await;
    let table = server.kubectl("get devices", "").await;
    has(&table, &["NAME", "NODE", "MODEL", "AGE", "sensor", "edge-1", "thermometer"]);
    assert!(!table.contains("PROTOCOL"), "{table}");
    has(&server.kubectl("get devices -o wide", "").await, &["PROTOCOL", "modbus"]);
    has(&server.kubectl("get devices -A --show-labels", "").await, &["NAMESPACE", "default", "room=kitchen"]);
    has(
        &server.kubectl("get device sensor -o yaml", "").await,
        &["resourceVersion:", "uid:", "generation: 1", "offset: 2"],
    );
    has(&server.kubectl("get device sensor -o jsonpath={.spec.nodeName}", "").await, &["edge-1"]);
    has(&server.kubectl("get nodes", "").await, &["STATUS", "ROLES", "Unknown", "edge"]);
    has(&server.kubectl("get nodes -o wide", "").await, &["INTERNAL-IP", "<none>", "CONTAINER-RUNTIME"]);
    has(&server.kubectl("get ns", "").await, &["default", "kube-system", "Active"]);
    has(
        &server.kubectl("get devices --field-selector spec.nodeName=edge-1 -o name", "").await,
        &["device.devices.kubeedge.io/sensor"],
    );
    has(
        &server.kubectl("get devices --field-selector spec.nodeName=other", "").await,
        &["No resources found"],
    );
    has(&server.kubectl("get devices -l 'room in (kitchen,hall)' -o name", "").await, &["sensor"]);
    has(&server.kubectl("get devices -l room!=kitchen", "").await, &["No resources found"]);
    has(&server.kubectl("describe device sensor", "").await, &["Name:", "sensor", "Node Name:"]);
    has(
        &server.kubectl_fails("get device nothing", "").await,
        &[r#"Error from server (NotFound): devices.devices.kubeedge.io "nothing" not found"#],
    );
    has(
        &server.kubectl_fails("get cm --field-selector data.x=1", "").await,
        &["is not a known field selector: only"],
    );
    has(
        &server.kubectl_fails("get devices --field-selector spec.x=1", "").await,
        &["field label not supported: spec.x"],
    );
    has(&server.kubectl_fails("get devices -l a=b=c", "").await, &["parse"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn apply_is_idempotent_and_applies_changes() {
    let Some(server) = server().await else { return };
    for (manifest, id, (from, to), path) in [
        (DEVICE, "device.devices.kubeedge.io/sensor", ("edge-1", "edge-2"), "{.spec.nodeName}"),
        (CONFIG, "configmap/settings", ("a: \"1\"", "a: \"edge-2\""), "{.data.a}"),
        (NODE, "node/edge-1", ("key: edge,", "key: edge-2,"), "{.spec.taints[0].key}"),
    ] {
        assert_eq!(server.kubectl("apply -f -", manifest).await, format!("{id} created\n"));
        assert_eq!(server.kubectl("apply -f -", manifest).await, format!("{id} unchanged\n"));
        let changed = manifest.replace(from, to);
        has(&server.kubectl("diff -f -", manifest).await, &[]);
        assert_eq!(server.kubectl("apply -f -", &changed).await, format!("{id} configured\n"));
        assert_eq!(server.kubectl(&format!("get {id} -o jsonpath={path}"), "").await, "edge-2");
        assert_eq!(
            server.kubectl("apply -f - --dry-run=server", manifest).await,
            format!("{id} configured (server dry run)\n")
        );
        assert_eq!(server.kubectl(&format!("get {id} -o jsonpath={path}"), "").await, "edge-2");
    }
    // What apply set and the manifest no longer names is removed.
    server.kubectl("apply -f -", &CONFIG.replace(", b: \"2\"", "")).await;
    assert_eq!(server.kubectl("get cm settings -o jsonpath={.data}", "").await, r#"{"a":"1"}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn patches_labels_and_annotations() {
    let Some(server) = server().await else { return };
    server.kubectl("create -f -", DEVICE).await;
    server.kubectl("create -f -", CONFIG).await;
    server.kubectl(r#"patch device sensor --type=merge -p '{"spec":{"nodeName":"edge-3"}}'"#, "").await;
    server.kubectl(r#"patch device sensor --type=json -p '[{"op":"replace","path":"/spec/properties/0/desired/value","value":"25"}]'"#, "").await;
    server.kubectl(r#"patch cm settings --type=strategic -p '{"data":{"c":"3","b":null}}'"#, "").await;
    has(
        &server.kubectl_fails(r#"patch device sensor --type=strategic -p '{"spec":{}}'"#, "").await,
        &["is not supported by devices.kubeedge.io/v1beta1", "application/merge-patch+json"],
    );
    assert_eq!(server.kubectl("get device sensor -o jsonpath={.spec.nodeName}/{.spec.properties[0].desired.value}/{.metadata.generation}", "").await, "edge-3/25/3");
    assert_eq!(server.kubectl("get cm settings -o jsonpath={.data}", "").await, r#"{"a":"1","c":"3"}"#);
    has(&server.kubectl("label device sensor floor=1 room-", "").await, &["labeled"]);
    has(&server.kubectl("annotate device sensor note=hello", "").await, &["annotated"]);
    has(&server.kubectl("label cm settings floor=1", "").await, &["labeled"]);
    has(&server.kubectl("annotate cm settings note=hello", "").await, &["annotated"]);
    assert_eq!(server.kubectl("get device sensor -o jsonpath={.metadata.labels}{.metadata.annotations}{.metadata.generation}", "").await, r#"{"floor":"1"}{"note":"hello"}3"#);
    has(&server.kubectl_fails(r#"patch device sensor --type=json -p '[{"op":"replace","path":"/nothing/there","value":1}]'"#, "").await, &["the server rejected our request due to an error in our request"]);
    has(&server.kubectl_fails("label device sensor a=b/c", "").await, &["a valid label must be"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_refused_as_by_a_kubernetes_server() {
    let Some(server) = server().await else { return };
    let unknown = DEVICE.replace("nodeName:", "nodeNam:");
    has(
        &server.kubectl_fails("create -f -", &unknown).await,
        &["BadRequest", r#"strict decoding error: unknown field "spec.nodeNam""#],
    );
    has(
        &server.kubectl_fails("apply -f -", &unknown).await,
        &["BadRequest", r#"strict decoding error: unknown field "spec.nodeNam""#],
    );
    has(
        &server.kubectl("create --validate=warn -f -", &unknown).await,
        &["created", r#"Warning: unknown field "spec.nodeNam""#],
    );
    has(
        &server.kubectl_fails("create -f -", DEVICE).await,
        &["AlreadyExists", r#"devices.devices.kubeedge.io "sensor" already exists"#],
    );
    let wrong_type = DEVICE.replace("nodeName: edge-1", "nodeName: 7").replace("name: sensor", "name: other");
    has(
        &server.kubectl_fails("create -f -", &wrong_type).await,
        &[
            r#"The Device "other" is invalid: spec.nodeName: Invalid value: "integer": spec.nodeName in body must be of type string: "integer""#,
        ],
    );
    let model = "
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: { name: m }
spec: { properties: [{ name: a, type: WORD, accessMode: ReadOnly }] }
";
    has(
        &server.kubectl_fails("create -f -", model).await,
        &[
            r#"The DeviceModel "m" is invalid: spec.properties[0].type: Unsupported value: "WORD": supported values: "INT", "FLOAT""#,
        ],
    );
    let twice = model
        .replace("WORD", "INT")
        .replace("properties: [", "properties: [{ name: a, type: INT, accessMode: ReadWrite }, ");
    has(
        &server.kubectl_fails("create -f -", &twice).await,
        &[r#"spec.properties[1].name: Duplicate value: "a""#],
    );
    has(
        &server
            .kubectl_fails(
                "create -f -",
                &DEVICE
                    .replace("desired: { value: \"20\" }", "desired: {}")
                    .replace("name: sensor", "name: other"),
            )
            .await,
        &["spec.properties[0].desired.value: Required value"],
    );
    has(
        &server.kubectl_fails("create -f -", &CONFIG.replace("name: settings", "name: Settings!")).await,
        &["The ConfigMap \"Settings!\" is invalid: metadata.name", "RFC 1123 subdomain"],
    );
    has(
        &server.kubectl_fails("create -f - -n nowhere", CONFIG).await,
        &[r#"Error from server (NotFound): error when creating "STDIN": namespaces "nowhere" not found"#],
    );
    has(&server.kubectl_fails("delete ns default", "").await, &["this namespace may not be deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn replace_conflicts_with_a_newer_version() {
    let Some(server) = server().await else { return };
    server.kubectl("create -f -", DEVICE).await;
    let old = server.kubectl("get device sensor -o yaml", "").await;
    server.kubectl("label device sensor x=y", "").await;
    has(
        &server.kubectl_fails("replace -f -", &old).await,
        &[
            "Error from server (Conflict)",
            "the object has been modified; please apply your changes to the latest version and try again",
        ],
    );
    let new = server.kubectl("get device sensor -o yaml", "").await.replace("edge-1", "edge-9");
    has(&server.kubectl("replace -f -", &new).await, &["replaced"]);
    has(&server.kubectl("create configmap made --from-literal=a=b", "").await, &["configmap/made created"]);
    has(&server.kubectl("replace -f -", &CONFIG.replace("settings", "made")).await, &["replaced"]);
    has(&server.kubectl("replace --force -f -", DEVICE).await, &["deleted", "replaced"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_wait_and_delete() {
    let Some(server) = server().await else { return };
    server.kubectl("create -f -", DEVICE).await;
    let mut child = server.kubectl_command(&["get", "devices", "-w"]).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        tokio::time::timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap().unwrap()
    };
    has(&next().await, &["NAME", "NODE"]);
    has(&next().await, &["sensor", "edge-1"]);
    server.kubectl(r#"patch device sensor --type=merge -p '{"spec":{"nodeName":"edge-4"}}'"#, "").await;
    has(&next().await, &["sensor", "edge-4"]);
    let waits = server.kubectl("wait device/sensor --for=delete --timeout=20s", "");
    let deletes = async {
        tokio::time::sleep(Duration::from_millis(300)).await;
        server.kubectl("delete device sensor", "").await
    };
    let (_, deleted) = tokio::join!(waits, deletes);
    has(&deleted, &[r#"device.devices.kubeedge.io "sensor" deleted"#]);
    has(&next().await, &["sensor"]);
    child.kill().await.unwrap();

    server.kubectl("create -f -", NODE).await;
    let ready = r#"patch node edge-1 --subresource=status -p '{"status":{"conditions":[{"type":"Ready","status":"True"}]}}'"#;
    let (waited, _) =
        tokio::join!(server.kubectl("wait node/edge-1 --for=condition=Ready --timeout=20s", ""), async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            server.kubectl(ready, "").await
        });
    has(&waited, &["condition met"]);
    has(&server.kubectl("cordon edge-1", "").await, &["cordoned"]);
    has(&server.kubectl("get nodes", "").await, &["Ready,SchedulingDisabled"]);
    has(&server.kubectl("taint node edge-1 a=b:NoExecute", "").await, &["tainted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn long_lists_come_in_pages() {
    let Some(server) = server().await else { return };
    for n in 0..7 {
        server
            .post(
                "/api/v1/namespaces/default/configmaps",
                &serde_json::json!({ "metadata": { "name": format!("c{n}") } }),
            )
            .await
            .expect(201);
    }
    let listed = server.kubectl("get cm --chunk-size=3 -o name", "").await;
    assert_eq!(listed.lines().count(), 7, "{listed}");
    let listed = server.kubectl("get cm --chunk-size=2", "").await;
    assert_eq!(listed.lines().count(), 8, "{listed}");
    has(&server.kubectl("delete cm --all", "").await, &["\"c0\" deleted", "\"c6\" deleted"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_a_namespace_deletes_what_is_in_it() {
    let Some(server) = server().await else { return };
    has(&server.kubectl("create namespace shop", "").await, &["namespace/shop created"]);
    server.kubectl("apply -n shop -f -", DEVICE).await;
    server.kubectl("apply -n shop -f -", CONFIG).await;
    has(&server.kubectl("delete ns shop", "").await, &["deleted"]);
    has(&server.kubectl("get ns -o name", "").await, &["namespace/default"]);
    has(&server.kubectl("get devices,cm -A", "").await, &["No resources found"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn server_side_apply_is_refused_clearly() {
    let Some(server) = server().await else {
        return;
    };
    let refused = server.kubectl_fails("apply --server-side -f -", CONFIG).await;
    has(
        &refused,
        &[
            "Server-side apply not available on the server",
            "accepted media types include: application/json-patch+json",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn edit_opens_the_object_and_saves_it() {
    let Some(server) = server().await else { return };
    server.kubectl("create -f -", DEVICE).await;
    for (what, from, to) in [("device/sensor", "edge-1", "edge-5"), ("cm/settings", "one", "edge-5")] {
        if what.starts_with("cm") {
            server.kubectl("create -f -", &CONFIG.replace("\"1\"", "one")).await;
        }
        let mut command = server.kubectl_command(&["edit", what]);
        let output = command.env("KUBE_EDITOR", format!("sed -i s/{from}/{to}/")).output().await.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        has(&server.kubectl(&format!("get {what} -o yaml"), "").await, &["edge-5"]);
    }
    let object: Value = serde_json::from_str(&server.kubectl("get device sensor -o json", "").await).unwrap();
    assert_eq!(object["spec"]["nodeName"], "edge-5");
}
