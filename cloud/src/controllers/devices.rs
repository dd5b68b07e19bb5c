//! DeviceController: Devices and the DeviceModels they refer to, to the node named in `spec.nodeName`.
//!
//! Level-triggered: a watch event marks keys of nodes, a pass computes the difference inside the writer.
//! One pass per node at a time; what comes meanwhile is one more pass.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use kube::ResourceExt;
use kube::api::DynamicObject;
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event, watcher};
use ledge_core::desired::{Gone, Outcome, Standing, Wanted, reconcile};
use ledge_core::journal::{Draft, Txn};
use ledge_core::log::{Store, StoreError};
use ledge_core::sync::commands::Fresh;
use ledge_core::sync::commands::cloud::{begin_recovering, ensure_down, is_recovering, node_row, record};
use ledge_core::view::{control, down, row};
use ledge_log::{Class, WriteError};
use ledge_schemas::kinds::control::AuthorityBound;
use ledge_schemas::kinds::down::{ObjectPut, ObjectRemoved};
use ledge_schemas::{DeviceName, LogId, NodeName, StreamId};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::client::{ApiClient, Kind};
use super::desired::{Desired, Scope, Touched};
use super::queue::Queue;
use crate::hub::{NodeEvent, Sessions};
use crate::log::Log;
use crate::metric_definitions as names;
use crate::namespaces::KUBE_SYSTEM;
use crate::records;

/// Nodes that are passed over at once.
const WORKERS: usize = 8;
/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// See the module. Clones share it.
#[derive(Clone, Debug)]
pub struct DeviceController {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) log: Log,
    pub(super) sessions: Sessions,
    pub(super) client: ApiClient,
    pub(super) desired: Mutex<Desired>,
    /// UID of the authority that the client talks to, once it is known.
    pub(super) authority: Mutex<Option<String>>,
    queue: Queue<NodeName>,
    /// Devices whose status may have to be written.
    pub(super) statuses: Queue<DeviceName>,
}

/// Why a pass did not happen.
pub(super) type PassError = WriteError<StoreError>;

/// What a pass did.
enum Passed {
    /// The node never came: it has no `down` either.
    NotJoined,
    /// Done; what stays although it is not wanted.
    Done(Outcome),
}

impl DeviceController {
    /// Opens nothing; see [`DeviceController::run`].
    #[must_use]
    pub fn new(log: Log, sessions: Sessions, client: ApiClient) -> Self {
        let (desired, authority) = (Mutex::default(), Mutex::default());
        let (queue, statuses) = (Queue::new("devices"), Queue::new("status"));
        Self { inner: Arc::new(Inner { log, sessions, client, desired, authority, queue, statuses }) }
    }

    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut tasks = JoinSet::new();
        let events = self.inner.sessions.events();
        tasks.spawn(Arc::clone(&self.inner).follow_nodes(events));
        tasks.spawn(Arc::clone(&self.inner).begin());
        for _ in 0..WORKERS {
            tasks.spawn(Arc::clone(&self.inner).work());
        }
        stop.cancelled().await;
        tasks.shutdown().await;
        Ok(())
    }
}

impl Inner {
    pub(super) fn desired(&self) -> MutexGuard<'_, Desired> {
        self.desired.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn authority(&self) -> Option<String> {
        self.authority.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// First who it is that we listen to, then what it says.
    async fn begin(self: Arc<Self>) {
        loop {
            match self.bind_authority().await {
                Ok(()) => break,
                Err(why) => tracing::warn!(error = %why, "the API does not answer yet"),
            }
            tokio::time::sleep(RETRY).await;
        }
        tokio::join!(self.follow(Kind::DeviceModel), self.follow(Kind::Device));
    }

    /// Notes the authority on first sight; another one than before means recovering.
    async fn bind_authority(&self) -> Result<(), String> {
        let uid = self.client.namespace_uid(KUBE_SYSTEM).await.map_err(|error| error.to_string())?;
        let uid = uid.ok_or_else(|| format!("namespace {KUBE_SYSTEM} is missing"))?;
        let seen = uid.clone();
        let bound = self.log.writer.write(Class::Configuration, move |txn| match bound_authority(txn)? {
            Some(bound) if bound == seen => Ok(()),
            Some(bound) => {
                let why = format!("the objects come from API server {seen}, before they came from {bound}");
                begin_recovering(txn, &why)
            }
            None => record(txn, "", &AuthorityBound { uid: seen }),
        });
        bound.await.map_err(|error: PassError| error.to_string())?;
        *self.authority.lock().unwrap_or_else(PoisonError::into_inner) = Some(uid);
        Ok(())
    }

    async fn follow(&self, kind: Kind) {
        let changes = watcher(self.client.all(kind), watcher::Config::default()).default_backoff();
        let mut changes = std::pin::pin!(changes);
        while let Some(change) = changes.next().await {
            match change {
                Ok(event) => self.on_change(kind, event),
                Err(error) => tracing::debug!(?kind, %error, "watching again"),
            }
        }
    }

    fn on_change(&self, kind: Kind, event: Event<DynamicObject>) {
        let touched = match event {
            Event::Init => {
                self.desired().begin(kind);
                return;
            }
            Event::InitApply(object) | Event::Apply(object) => {
                let (namespace, name, object) = parts(kind, &object);
                self.desired().apply(kind, &namespace, &name, &object)
            }
            Event::Delete(object) => {
                let (namespace, name, object) = parts(kind, &object);
                self.desired().delete(kind, &namespace, &name, &object)
            }
            Event::InitDone => {
                let touched = self.desired().end(kind);
                if self.desired().is_complete() {
                    self.look_at_every_node();
                }
                touched
            }
        };
        self.enqueue(touched);
    }

    fn enqueue(&self, touched: Touched) {
        touched.nodes.into_iter().for_each(|node| self.queue.add(node));
        touched.devices.into_iter().for_each(|device| self.statuses.add(device));
    }

    fn look_at(&self, node: &NodeName) {
        self.desired().look_at_all(node);
        self.queue.add(node.clone());
    }

    fn look_at_every_node(&self) {
        match records::nodes(&self.log.reader) {
            Ok(nodes) => nodes.iter().for_each(|(node, _)| self.look_at(node)),
            Err(error) => tracing::error!(%error, "nodes cannot be read"),
        }
    }

    async fn follow_nodes(self: Arc<Self>, mut events: crate::hub::NodeEvents) {
        loop {
            match events.recv().await {
                Ok(NodeEvent::Joined(node) | NodeEvent::Settled(node)) => self.look_at(&node),
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => self.look_at_every_node(),
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn work(self: Arc<Self>) {
        loop {
            let node = self.queue.next().await;
            let scope = self.desired().take(&node);
            if let Some(scope) = scope
                && let Err(error) = self.pass(&node, &scope).await
            {
                tracing::warn!(%node, %error, "what the node should have could not be written, trying again");
                self.desired().give_back(&node, scope);
                let (inner, node) = (Arc::clone(&self), node.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    inner.queue.add(node);
                });
            }
            self.queue.done(&node);
        }
    }

    async fn pass(&self, node: &NodeName, scope: &Scope) -> Result<(), PassError> {
        let recovering = records::recovering(&self.log.reader).map_err(WriteError::Store)?.is_some();
        let settled = self.sessions.get(node).is_some_and(|session| session.down_acked.is_some());
        if recovering && !settled {
            // What it has is not known yet; its hello brings the next look at everything.
            return Ok(());
        }
        let plan = self.plan(node, scope).map_err(WriteError::Store)?;
        let (bytes, to) = (plan.bytes(), node.clone());
        let (uid, fresh) = (self.authority(), Fresh { log_id: LogId(rand::random()) });
        let written = self.log.writer.write_sized(Class::Configuration, bytes, move |txn| {
            let standing = standing(txn, uid.as_deref(), false)?;
            execute(txn, &to, &plan, fresh, standing)
        });
        match written.await? {
            Passed::NotJoined => tracing::debug!(%node, "devices are placed on a node that never joined"),
            Passed::Done(outcome) => {
                let stays: Vec<String> = outcome.held.keys().cloned().collect();
                self.passed(node, scope, outcome);
                if recovering {
                    self.import(node, stays).await;
                }
            }
        }
        Ok(())
    }

    /// Notes what a pass did and did not do.
    pub(super) fn passed(&self, node: &NodeName, scope: &Scope, outcome: Outcome) {
        metrics::counter!(names::DOWN_CHANGES, "change" => "put").increment(outcome.puts.len() as u64);
        metrics::counter!(names::DOWN_CHANGES, "change" => "removed")
            .increment(outcome.removals.len() as u64);
        let mut desired = self.desired();
        desired.carried_out(node, outcome.removals.iter().map(|(key, ..)| key));
        let news = desired.set_held(node, scope, outcome.held);
        #[expect(clippy::cast_precision_loss, reason = "a count of objects")]
        metrics::gauge!(names::HELD).set(desired.all_held() as f64);
        drop(desired);
        if news {
            self.sessions.tell(NodeEvent::Decided(node.clone()));
        }
    }

    /// What is wanted of a node, and what is on record about the rest that it has.
    pub(super) fn plan(&self, node: &NodeName, scope: &Scope) -> Result<Plan, StoreError> {
        let has: Vec<String> = match scope {
            Scope::Keys(keys) => keys.iter().cloned().collect(),
            Scope::All => {
                let rows =
                    records::rows(&self.log.reader, &StreamId::Down(node.clone()), down::OBJECT.as_bytes())?;
                rows.iter().filter_map(|row| object_of(&row.key)).collect()
            }
        };
        let desired = self.desired();
        let wanted = desired.wanted(node, scope);
        let gone = desired.gone(node, has.iter().filter(|key| !wanted.contains_key(*key)));
        Ok(Plan { scope: scope.clone(), wanted, gone })
    }
}

/// What a pass carries into the writer.
pub(super) struct Plan {
    scope: Scope,
    wanted: BTreeMap<String, Wanted>,
    gone: BTreeMap<String, Gone>,
}

impl Plan {
    fn bytes(&self) -> usize {
        let size = |(key, wanted): (&String, &Wanted)| key.len() + wanted.object.as_ref().map_or(0, Vec::len);
        512 + self.wanted.iter().map(size).sum::<usize>()
    }

    /// Decides against what the node has at this moment of the writer.
    pub(super) fn decide<S: Store>(
        &self,
        txn: &Txn<'_, S>,
        node: &NodeName,
        standing: Standing,
    ) -> Result<Outcome, StoreError> {
        let stream = StreamId::Down(node.clone());
        let mut current = BTreeMap::new();
        match &self.scope {
            Scope::All => {
                for (key, value) in txn.rows(&stream, down::OBJECT.as_bytes())? {
                    current.extend(object_of(&key).zip(body_of(&value)));
                }
            }
            Scope::Keys(keys) => {
                for key in keys {
                    let value = txn.row(&stream, &down::object_key(key))?;
                    current.extend(value.and_then(|value| Some((key.clone(), body_of(&value)?))));
                }
            }
        }
        Ok(reconcile(&current, &self.wanted, &self.gone, current.len(), standing))
    }
}

fn object_of(row_key: &[u8]) -> Option<String> {
    let key = row_key.strip_prefix(down::OBJECT.as_bytes())?;
    Some(std::str::from_utf8(key).ok()?.to_owned())
}

fn body_of(row: &[u8]) -> Option<Vec<u8>> {
    row::split(row).ok().map(|(_, body)| body.to_vec())
}

fn bound_authority<S: Store>(txn: &Txn<'_, S>) -> Result<Option<String>, StoreError> {
    let bytes = txn.row(&StreamId::Control, control::AUTHORITY.as_bytes())?;
    let decoded = bytes.and_then(|bytes| row::decode::<control::AuthorityRow>(&bytes).ok());
    Ok(decoded.map(|(_, authority)| authority.uid))
}

/// Where the cloud stands, for a pass over complete lists of the authority `uid`.
pub(super) fn standing<S: Store>(
    txn: &Txn<'_, S>,
    uid: Option<&str>,
    accepted: bool,
) -> Result<Standing, StoreError> {
    let bound = bound_authority(txn)?;
    let same_authority = uid.is_some() && bound.as_deref() == uid;
    Ok(Standing { complete: true, same_authority, recovering: is_recovering(txn)?, accepted })
}

fn execute<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    plan: &Plan,
    fresh: Fresh,
    standing: Standing,
) -> Result<Passed, StoreError> {
    if !records::has_joined(&node_row(txn, node)?) {
        return Ok(Passed::NotJoined);
    }
    ensure_down(txn, node, fresh)?;
    let outcome = plan.decide(txn, node, standing)?;
    append(txn, node, &outcome)?;
    Ok(Passed::Done(outcome))
}

/// Appends the difference to the node's `down`.
pub(super) fn append<S: Store>(
    txn: &mut Txn<'_, S>,
    node: &NodeName,
    outcome: &Outcome,
) -> Result<(), StoreError> {
    let stream = StreamId::Down(node.clone());
    let failed = |error: ledge_schemas::CodecError| StoreError::Failed(error.to_string());
    for (key, object, cause) in &outcome.puts {
        let draft = Draft::new(key, &ObjectPut { object: object.clone() }).map_err(failed)?;
        txn.append(&stream, Draft { cause: cause.clone(), ..draft })?;
    }
    for (key, reason, cause) in &outcome.removals {
        let draft = Draft::new(key, &ObjectRemoved { reason: *reason }).map_err(failed)?;
        txn.append(&stream, Draft { cause: cause.clone(), ..draft })?;
    }
    Ok(())
}

/// Namespace, name and JSON of an object of a watch; lists leave the type out.
fn parts(kind: Kind, object: &DynamicObject) -> (String, String, Value) {
    let mut value = serde_json::to_value(object).unwrap_or_default();
    value["apiVersion"] = json!(kind.api_version());
    value["kind"] = json!(kind.kind());
    (object.namespace().unwrap_or_default(), object.name_any(), value)
}
