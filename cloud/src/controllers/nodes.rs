//! NodeController: a Node object for every node that joined, and its conditions from sessions.
//!
//! Heartbeats are not written: a Node is patched when a condition changes, and otherwise every five
//! minutes at most.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledge_core::log::{Reader, StoreError};
use ledge_core::view::row;
use ledge_core::view::up::{INFO, InfoRow};
use ledge_schemas::{NodeName, StreamId};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::DeviceController;
use super::client::{Kind, Patched, create, merge, status_code};
use super::devices::Inner as Devices;
use super::queue::Queue;
use crate::clock;
use crate::hub::NodeEvent;
use crate::records;

const CONTROLLER: &str = "nodes";
/// Longest time between two writes of an unchanged Node.
const REFRESH: Duration = Duration::from_secs(5 * 60);
/// Between two looks at how far behind nodes are.
const LOOK: Duration = Duration::from_secs(5);
/// Time that nodes get to come back after a start of the cloud before they are shown as gone.
const GRACE: Duration = Duration::from_secs(10);
/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// Events in one direction beyond which a node is behind.
const BEHIND: u64 = 1_000;

/// See the module.
#[derive(Clone, Debug)]
pub struct NodeController {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    devices: Arc<Devices>,
    queue: Queue<NodeName>,
    began: Instant,
    written: Mutex<BTreeMap<NodeName, Written>>,
}

#[derive(Clone, Debug)]
struct Written {
    conditions: Vec<Condition>,
    version: String,
    at: Instant,
}

/// One condition, without its times.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Condition {
    kind: &'static str,
    status: &'static str,
    reason: &'static str,
    message: String,
    /// Unix milliseconds of the last change of `status`.
    since_ms: u64,
}

/// Why a Node was not written.
#[derive(Debug, thiserror::Error)]
enum NodeError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl NodeController {
    /// Opens nothing; see [`NodeController::run`].
    #[must_use]
    pub fn new(devices: &DeviceController) -> Self {
        let (devices, queue) = (Arc::clone(&devices.inner), Queue::new(CONTROLLER));
        Self { inner: Arc::new(Inner { devices, queue, began: Instant::now(), written: Mutex::default() }) }
    }

    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut tasks = JoinSet::new();
        let events = self.inner.devices.sessions.events();
        tasks.spawn(Arc::clone(&self.inner).follow(events));
        for _ in 0..4 {
            tasks.spawn(Arc::clone(&self.inner).work());
        }
        stop.cancelled().await;
        tasks.shutdown().await;
        Ok(())
    }
}

impl Inner {
    async fn follow(self: Arc<Self>, mut events: crate::hub::NodeEvents) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                event = events.recv() => match event {
                    Ok(NodeEvent::Overlay(_) | NodeEvent::Settled(_)) => {}
                    Ok(event) => self.queue.add(event.node().clone()),
                    Err(RecvError::Lagged(_)) => look.reset_immediately(),
                    Err(RecvError::Closed) => return,
                },
                _ = look.tick() => match records::nodes(&self.devices.log.reader) {
                    Ok(nodes) => nodes.into_iter().for_each(|(node, _)| self.queue.add(node)),
                    Err(error) => tracing::error!(%error, "nodes cannot be read"),
                },
            }
        }
    }

    async fn work(self: Arc<Self>) {
        loop {
            let node = self.queue.next().await;
            if let Err(error) = self.sync(&node).await {
                tracing::warn!(%node, %error, "the Node could not be written, trying again");
                let (inner, node) = (Arc::clone(&self), node.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    inner.queue.add(node);
                });
            }
            self.queue.done(&node);
        }
    }

    async fn sync(&self, node: &NodeName) -> Result<(), NodeError> {
        let Some((mut conditions, version)) = self.conditions(node)? else { return Ok(()) };
        let before = self.written.lock().unwrap_or_else(PoisonError::into_inner).get(node).cloned();
        let api = self.devices.client.all(Kind::Node);
        let old = match &before {
            Some(written) => written.conditions.clone(),
            None => match api.get_opt(node.as_str()).await? {
                Some(object) => stored(object.data.pointer("/status/conditions").unwrap_or(&Value::Null)),
                None => Vec::new(),
            },
        };
        let now_ms = clock::unix_ms();
        for condition in &mut conditions {
            let same = old.iter().find(|old| old.kind == condition.kind && old.status == condition.status);
            condition.since_ms = same.map_or(now_ms, |old| old.since_ms);
        }
        if let Some(written) = before
            && written.conditions == conditions
            && written.version == version
            && written.at.elapsed() < REFRESH
        {
            return Ok(());
        }
        let shown: Vec<Value> = conditions.iter().map(|condition| condition.shown(now_ms)).collect();
        let status = json!({ "status": {
            "conditions": shown,
            "nodeInfo": node_info(&version),
        } });
        if merge(&api, CONTROLLER, node.as_str(), true, &status).await? == Patched::NotThere {
            match create(&api, CONTROLLER, object(node)).await {
                Err(error) if status_code(&error) != Some(409) => return Err(error.into()),
                _ => {}
            }
            merge(&api, CONTROLLER, node.as_str(), true, &status).await?;
        }
        let written = Written { conditions, version, at: Instant::now() };
        self.written.lock().unwrap_or_else(PoisonError::into_inner).insert(node.clone(), written);
        Ok(())
    }

    /// What is true of a node now, and the version of its binary; `None` for one that never joined, and
    /// for one that may still come back after a start of the cloud.
    fn conditions(&self, node: &NodeName) -> Result<Option<(Vec<Condition>, String)>, NodeError> {
        let reader = &self.devices.log.reader;
        let Some(record) = records::node(reader, node)?.filter(records::has_joined) else {
            return Ok(None);
        };
        let session = self.devices.sessions.get(node);
        // Whoever was shown by this process already has had its time.
        let shown = self.written.lock().unwrap_or_else(PoisonError::into_inner).contains_key(node);
        if session.is_none() && !shown && record.confirmed > 0 && self.began.elapsed() < GRACE {
            return Ok(None);
        }
        let tail = |stream| Ok::<_, StoreError>(reader.head(&stream)?.map_or(0, |head| head.tail.0));
        let (up, down) = (tail(StreamId::Up(node.clone()))?, tail(StreamId::Down(node.clone()))?);
        let ready = match &session {
            Some(_) => condition("Ready", "True", "EdgeConnected", "the node has a live session".to_owned()),
            None if record.confirmed == 0 => condition(
                "Ready",
                "Unknown",
                "EdgeNeverConnected",
                "the node joined and had no session yet".to_owned(),
            ),
            None => condition("Ready", "Unknown", "EdgeDisconnected", "the node has no session".to_owned()),
        };
        let behind = match &session {
            None => condition(
                "LedgeBehind",
                "Unknown",
                "EdgeDisconnected",
                "known when the node is back".to_owned(),
            ),
            Some(session) => {
                let up = session.up_head.0.saturating_sub(up);
                let down = session.down_acked.map_or(BEHIND, |acked| down.saturating_sub(acked.0));
                match (up > BEHIND, down > BEHIND) {
                    (false, false) => condition("LedgeBehind", "False", "UpToDate", String::new()),
                    (true, _) => condition(
                        "LedgeBehind",
                        "True",
                        "UpBehind",
                        "reports of the node are still to come".to_owned(),
                    ),
                    (false, true) => condition(
                        "LedgeBehind",
                        "True",
                        "DownBehind",
                        "the node has not all that it should have".to_owned(),
                    ),
                }
            }
        };
        let quarantined = match &record.quarantine {
            None => condition("LedgeQuarantined", "False", "NotQuarantined", String::new()),
            Some(quarantine) => condition(
                "LedgeQuarantined",
                "True",
                "OperatorMustDecide",
                format!(
                    "{}; decide with `ledge-cloud node resolve {node} --keep {}`",
                    quarantine.reason, quarantine.log_id
                ),
            ),
        };
        let held = match self.devices.desired().held(node) {
            0 => condition("LedgeRemovalsHeld", "False", "NothingHeld", String::new()),
            count => condition(
                "LedgeRemovalsHeld",
                "True",
                "OperatorMustAccept",
                format!(
                    "{count} objects stay on the node although the API does not have them; see `ledge-cloud recover`"
                ),
            ),
        };
        let info = reader.row(&StreamId::Up(node.clone()), INFO.as_bytes()).ok().flatten();
        let info = info.and_then(|bytes| row::decode::<InfoRow>(&bytes).ok());
        let version = info.map(|(_, info)| info.version).unwrap_or_default();
        Ok(Some((vec![ready, behind, quarantined, held], version)))
    }
}

fn condition(kind: &'static str, status: &'static str, reason: &'static str, message: String) -> Condition {
    Condition { kind, status, reason, message, since_ms: 0 }
}

impl Condition {
    fn shown(&self, now_ms: u64) -> Value {
        json!({
            "type": self.kind,
            "status": self.status,
            "reason": self.reason,
            "message": self.message,
            "lastHeartbeatTime": clock::rfc3339(now_ms),
            "lastTransitionTime": clock::rfc3339(self.since_ms),
        })
    }
}

/// Since when the conditions of a stored Node have their status.
fn stored(conditions: &Value) -> Vec<Condition> {
    const KINDS: [&str; 4] = ["Ready", "LedgeBehind", "LedgeQuarantined", "LedgeRemovalsHeld"];
    const STATUSES: [&str; 3] = ["True", "False", "Unknown"];
    let read = |value: &Value| {
        let kind = KINDS.into_iter().find(|kind| value["type"] == *kind)?;
        let status = STATUSES.into_iter().find(|status| value["status"] == *status)?;
        let since: jiff::Timestamp = value["lastTransitionTime"].as_str()?.parse().ok()?;
        let since_ms = u64::try_from(since.as_millisecond()).ok()?;
        Some(Condition { since_ms, ..condition(kind, status, "", String::new()) })
    };
    conditions.as_array().into_iter().flatten().filter_map(read).collect()
}

/// What must be there of `nodeInfo`; the node knows only its own version.
fn node_info(version: &str) -> Value {
    let mut info: serde_json::Map<String, Value> = [
        "machineID",
        "systemUUID",
        "bootID",
        "kernelVersion",
        "osImage",
        "containerRuntimeVersion",
        "kubeProxyVersion",
        "operatingSystem",
        "architecture",
    ]
    .into_iter()
    .map(|field| (field.to_owned(), json!("")))
    .collect();
    let version = if version.is_empty() { String::new() } else { format!("ledge-{version}") };
    info.insert("kubeletVersion".to_owned(), json!(version));
    Value::Object(info)
}

fn object(node: &NodeName) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": { "name": node.as_str(), "labels": {
            "kubernetes.io/hostname": node.as_str(),
            "node-role.kubernetes.io/edge": "",
        } },
        "spec": {},
    })
}
