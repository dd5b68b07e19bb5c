//! A cloud and one edge as processes, with one device on it, and what is asked of them from outside.

use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use futures::{StreamExt, TryStreamExt};
use kube::api::{DynamicObject, ListParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::core::GroupVersionKind;
use kube::discovery::ApiResource;
use kube::{Api, Client};
use ledge_process::CtlClient;
use serde_json::Value;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Bench;
use super::probe::Probe;
use crate::stack::manifests::{TEMPERATURE, device, model};
use crate::stack::{Stack, until};

/// The device.
pub(super) const DEVICE: &str = "bench";
/// Longest that anything here may take.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
/// Changes that may wait to be looked at; then the watch is not read.
const INBOX: usize = 1024;

/// See the module.
pub(super) struct Rig {
    pub(super) stack: Stack,
}

impl Rig {
    /// Starts everything, and waits until the edge knows the device.
    pub(super) async fn start(bench: &Bench, name: &str) -> anyhow::Result<Self> {
        bench.progress(&format!("{name}: starting a cloud and an edge"));
        let mut stack = Stack::start(&bench.dir.join(name), 1).await?;
        // Nothing else is to speak.
        stack.thermostats.clear();
        let node = stack.edges.first().context("a stack without an edge")?.node.clone();
        stack.kube.apply(&[model(), device(DEVICE, &node, "20")]).await?;
        let rig = Self { stack };
        let known = || async {
            let status = rig.status().await.map_err(|error| error.to_string())?;
            let (devices, phase) = (status["devices"].as_u64(), status["cloud"]["phase"].as_str());
            if devices == Some(1) && phase == Some("live") { Ok(()) } else { Err(status.to_string()) }
        };
        until("the edge to know its device", PATIENCE, known).await?;
        Ok(rig)
    }

    /// Stops the processes and removes what they kept.
    pub(super) async fn stop(self) -> anyhow::Result<()> {
        let dir = self.stack.dir.clone();
        self.stack.stop().await?;
        std::fs::remove_dir_all(&dir).with_context(|| format!("removing {}", dir.display()))
    }

    pub(super) fn edge(&self) -> anyhow::Result<&crate::stack::edge::Edge> {
        self.stack.edges.first().context("a stack without an edge")
    }

    /// What the edge says of itself, without the start of a process.
    pub(super) async fn status(&self) -> anyhow::Result<Value> {
        Ok(CtlClient::connect(&self.edge()?.dir).await?.call("status", &()).await?)
    }

    pub(super) async fn probe(&self, client: &str) -> anyhow::Result<Probe> {
        Probe::connect(self.edge()?.mqtt()?, client, DEVICE, TEMPERATURE).await
    }

    /// What every watcher of the device's status sees from now on.
    pub(super) async fn watch(&self) -> anyhow::Result<StatusWatch> {
        let config = Kubeconfig::read_from(self.stack.cloud.kubeconfig())?;
        let mut config = kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
        config.proxy_url = None;
        let kind = GroupVersionKind::gvk("devices.kubeedge.io", "v1beta1", "DeviceStatus");
        let resource = ApiResource::from_gvk_with_plural(&kind, "devicestatuses");
        let api: Api<DynamicObject> = Api::namespaced_with(Client::try_from(config)?, "default", &resource);
        let from = api.list(&ListParams::default()).await?.metadata.resource_version.unwrap_or_default();
        let stream = api.watch(&WatchParams::default(), &from).await?;
        let (sender, seen) = mpsc::channel(INBOX);
        let task = tokio::spawn(async move {
            let mut stream = stream.boxed();
            while let Some(event) = stream.try_next().await? {
                let (WatchEvent::Added(object) | WatchEvent::Modified(object)) = event else { continue };
                let at = Instant::now();
                if let Some(value) = reported(&object)
                    && sender.send((value, at)).await.is_err()
                {
                    break;
                }
            }
            Ok(())
        });
        Ok(StatusWatch { seen, task })
    }
}

/// What the device says of its property.
fn reported(object: &DynamicObject) -> Option<String> {
    let twins = object.data.pointer("/status/twins")?.as_array()?;
    let twin = twins.iter().find(|twin| twin["propertyName"] == TEMPERATURE)?;
    Some(twin.pointer("/reported/value")?.as_str()?.to_owned())
}

/// Values in the order in which a watch showed them. It ends when it is dropped.
pub(super) struct StatusWatch {
    seen: mpsc::Receiver<(String, Instant)>,
    task: JoinHandle<Result<(), kube::Error>>,
}

impl StatusWatch {
    /// Waits until the watch shows a value; when that was.
    pub(super) async fn shows(&mut self, value: &str) -> anyhow::Result<Instant> {
        let shown = timeout(PATIENCE, async {
            while let Some((seen, at)) = self.seen.recv().await {
                if seen == value {
                    return Ok(at);
                }
            }
            Err(anyhow!("the watch has ended"))
        });
        shown.await.with_context(|| format!("waiting for {value} in the cloud"))?
    }
}

impl Drop for StatusWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}
