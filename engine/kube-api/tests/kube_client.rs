//! The `kube` client library against the server.
#![allow(clippy::unwrap_used, reason = "tests")]

mod support;

use std::{collections::BTreeMap, pin::pin, time::Duration};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::{ConfigMap, Node};
use kube::{
    Api, Client, Config, Resource,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
    core::{ApiResource, GroupVersionKind},
    runtime::watcher::{self, Event},
};
use serde_json::json;
use support::{Server, device};

async fn client(server: &Server) -> Client {
    let kubeconfig = Kubeconfig::read_from(&server.kubeconfig).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    Client::try_from(config).unwrap()
}

fn config_map(name: &str) -> ConfigMap {
    let mut object =
        ConfigMap { data: Some(BTreeMap::from([("a".to_owned(), "b".to_owned())])), ..ConfigMap::default() };
    object.meta_mut().name = Some(name.to_owned());
    object
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_created_changed_and_deleted() {
    let server = Server::start(1000).await;
    let client = client(&server).await;
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "default");
    let mut made = maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    made.data.as_mut().unwrap().insert("c".to_owned(), "d".to_owned());
    let replaced = maps.replace("a", &PostParams::default(), &made).await.unwrap();
    assert_ne!(replaced.metadata.resource_version, made.metadata.resource_version);
    let conflict = maps.replace("a", &PostParams::default(), &made).await.unwrap_err();
    assert!(matches!(conflict, kube::Error::Api(status) if status.is_conflict()));
    assert!(maps.get_opt("nothing").await.unwrap().is_none());
    assert_eq!(maps.list_metadata(&ListParams::default()).await.unwrap().items.len(), 1);
    assert!(maps.delete("a", &DeleteParams::default()).await.unwrap().is_right());

    let nodes: Api<Node> = Api::all(client.clone());
    let mut node = Node::default();
    node.meta_mut().name = Some("edge".to_owned());
    nodes.create(&PostParams::default(), &node).await.unwrap();
    let status = json!({ "status": { "conditions": [{ "type": "Ready", "status": "True" }] } });
    let node = nodes.patch_status("edge", &PatchParams::default(), &Patch::Strategic(&status)).await.unwrap();
    assert_eq!(node.status.unwrap().conditions.unwrap()[0].status, "True");

    let resource = ApiResource::from_gvk_with_plural(
        &GroupVersionKind::gvk("devices.kubeedge.io", "v1beta1", "Device"),
        "devices",
    );
    let devices: Api<DynamicObject> = Api::namespaced_with(client, "default", &resource);
    let object: DynamicObject = serde_json::from_value(device("d", "edge")).unwrap();
    devices.create(&PostParams::default(), &object).await.unwrap();
    let found = devices.list(&ListParams::default().fields("spec.nodeName=edge")).await.unwrap();
    assert_eq!(found.items.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watcher_follows_and_survives_a_history_that_ran_out() {
    let server = Server::start(3).await;
    let maps: Api<ConfigMap> = Api::namespaced(client(&server).await, "default");
    maps.create(&PostParams::default(), &config_map("a")).await.unwrap();
    for config in [watcher::Config::default(), watcher::Config::default().streaming_lists()] {
        let mut events = pin!(watcher::watcher(maps.clone(), config));
        let mut next = async || {
            tokio::time::timeout(Duration::from_secs(20), events.try_next()).await.unwrap().unwrap().unwrap()
        };
        assert!(matches!(next().await, Event::Init));
        assert!(
            matches!(next().await, Event::InitApply(object) if object.metadata.name.as_deref() == Some("a"))
        );
        assert!(matches!(next().await, Event::InitDone));
        maps.create(&PostParams::default(), &config_map("b")).await.unwrap();
        assert!(matches!(next().await, Event::Apply(object) if object.metadata.name.as_deref() == Some("b")));
        maps.delete("b", &DeleteParams::default()).await.unwrap();
        assert!(
            matches!(next().await, Event::Delete(object) if object.metadata.name.as_deref() == Some("b"))
        );
    }
    let params = kube::api::WatchParams::default();
    let mut old = maps.watch(&params, "1").await.unwrap().boxed();
    let first = old.try_next().await.unwrap().unwrap();
    assert!(matches!(first, kube::api::WatchEvent::Error(status) if status.code == 410));
}
