//! StatusController: what each device last said, into its DeviceStatus. Latest only, one write in flight per
//! device, on a budget for all: never a write per event.
//!
//! ```text
//!   commits of up/<node> ──► keys of their events ──► queue ──► rows, overlay ──► changed? ──► merge patch
//! ```

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ledge_core::Digest;
use ledge_core::log::{Reader, StoreError};
use ledge_core::view::up::{self, STATE, TWIN};
use ledge_schemas::{DeviceName, NodeName, Position, StreamId};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::DeviceController;
use super::budget::Budget;
use super::client::{Kind, Patched, create, merge, status_code};
use super::devices::Inner as Devices;
use super::twins::{Status, digest_of_stored};
use crate::hub::NodeEvent;
use crate::metric_definitions as names;
use crate::records;

const CONTROLLER: &str = "status";
/// Devices written at once.
const WORKERS: usize = 16;
/// Bytes of runs read at once.
const READ: usize = 512 * 1024;
/// Pause before what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Clone, Debug)]
pub struct StatusController {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    devices: Arc<Devices>,
    budget: Budget,
    /// UID of the Device and digest of the visible status that was written last.
    written: Mutex<BTreeMap<DeviceName, (String, Digest)>>,
}

/// Why a status was not written.
#[derive(Debug, thiserror::Error)]
enum StatusError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Row(#[from] ledge_schemas::CodecError),
    #[error(transparent)]
    Api(#[from] kube::Error),
}

impl StatusController {
    /// Writes at most so many statuses a second, and so many at once after a rest.
    #[must_use]
    pub fn new(devices: &DeviceController, per_second: u32, burst: u32) -> Self {
        let (devices, budget) = (Arc::clone(&devices.inner), Budget::new(per_second, burst));
        Self { inner: Arc::new(Inner { devices, budget, written: Mutex::default() }) }
    }

    /// Runs until told to stop.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut tasks = JoinSet::new();
        let commits = self.inner.devices.log.writer.committed();
        let events = self.inner.devices.sessions.events();
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = self.inner.load() => {}
        }
        tasks.spawn(Arc::clone(&self.inner).follow(commits));
        tasks.spawn(Arc::clone(&self.inner).follow_overlays(events));
        for _ in 0..WORKERS {
            tasks.spawn(Arc::clone(&self.inner).work());
        }
        stop.cancelled().await;
        tasks.shutdown().await;
        Ok(())
    }
}

impl Inner {
    /// What stands in the API already, so that a start writes only what changed meanwhile.
    async fn load(&self) {
        let listed = loop {
            match self.devices.client.list(Kind::DeviceStatus).await {
                Ok(listed) => break listed,
                Err(error) => tracing::debug!(%error, "the API does not answer yet"),
            }
            tokio::time::sleep(RETRY).await;
        };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        for object in listed {
            let owner = object.metadata.owner_references.into_iter().flatten().next().map(|owner| owner.uid);
            let name = DeviceName::new(
                object.metadata.namespace.as_deref().unwrap_or_default(),
                object.metadata.name.as_deref().unwrap_or_default(),
            );
            let digest = digest_of_stored(object.data.get("status").unwrap_or(&Value::Null));
            written.extend(name.ok().zip(owner).map(|(name, uid)| (name, (uid, digest))));
        }
    }

    async fn follow(
        self: Arc<Self>,
        mut commits: tokio::sync::broadcast::Receiver<Arc<ledge_core::journal::Committed>>,
    ) {
        let mut seen: BTreeMap<NodeName, Position> = BTreeMap::new();
        self.compare_all(&mut seen);
        loop {
            match commits.recv().await {
                Ok(committed) => {
                    for (stream, tail) in &committed.tails {
                        if let StreamId::Up(node) = stream {
                            self.advance(&mut seen, node, *tail);
                        }
                    }
                }
                Err(RecvError::Lagged(_)) => self.catch_up(&mut seen),
                Err(RecvError::Closed) => return,
            }
        }
    }

    /// Queues every device that any node ever reported.
    fn compare_all(&self, seen: &mut BTreeMap<NodeName, Position>) {
        seen.clear();
        self.catch_up(seen);
    }

    fn catch_up(&self, seen: &mut BTreeMap<NodeName, Position>) {
        let reader = &self.devices.log.reader;
        let streams = reader.streams().unwrap_or_else(|error| {
            tracing::error!(%error, "streams cannot be read");
            Vec::new()
        });
        for stream in streams {
            if let StreamId::Up(node) = &stream
                && let Ok(Some(head)) = reader.head(&stream)
            {
                self.advance(seen, node, head.position());
            }
        }
    }

    /// Queues the devices that events up to `tail` name.
    fn advance(&self, seen: &mut BTreeMap<NodeName, Position>, node: &NodeName, tail: Position) {
        let before = seen.insert(node.clone(), tail);
        let read = match before {
            Some(before) if before == tail => return,
            Some(before) if before.epoch == tail.epoch && before < tail => self.read(node, before, tail),
            _ => self.read_rows(node),
        };
        if let Err(error) = read.or_else(|_| self.read_rows(node)) {
            tracing::error!(%node, %error, "what the node reported cannot be read");
        }
    }

    fn read(&self, node: &NodeName, after: Position, tail: Position) -> Result<(), StoreError> {
        let (stream, mut after) = (StreamId::Up(node.clone()), after.seq);
        while after < tail.seq {
            let entries = self.devices.log.reader.runs(&stream, after, READ)?;
            let Some(last) = entries.last() else { return Ok(()) };
            after = last.run.last();
            for entry in &entries {
                for (_, event) in entry.run.events().filter_map(Result::ok) {
                    // Keys of other events name no device.
                    event.key.parse().into_iter().for_each(|device| self.devices.statuses.add(device));
                }
            }
        }
        Ok(())
    }

    fn read_rows(&self, node: &NodeName) -> Result<(), StoreError> {
        let stream = StreamId::Up(node.clone());
        for prefix in [TWIN, STATE] {
            let rows = records::rows(&self.devices.log.reader, &stream, prefix.as_bytes())?;
            self.queue_rows(rows.iter().map(|row| &row.key[..]));
        }
        Ok(())
    }

    fn queue_rows<'a>(&self, keys: impl Iterator<Item = &'a [u8]>) {
        let mut last = None;
        for device in keys.filter_map(device_of) {
            if last.as_ref() != Some(&device) {
                self.devices.statuses.add(device.clone());
                last = Some(device);
            }
        }
    }

    async fn follow_overlays(self: Arc<Self>, mut events: crate::hub::NodeEvents) {
        loop {
            match events.recv().await {
                Ok(NodeEvent::Overlay(node)) => {
                    let keys = self.devices.sessions.overlay_keys(&node);
                    self.queue_rows(keys.iter().map(|key| &key[..]));
                }
                Ok(_) | Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn work(self: Arc<Self>) {
        loop {
            let device = self.devices.statuses.next().await;
            if let Err(error) = self.sync(&device).await {
                tracing::warn!(%device, %error, "the status could not be written, trying again");
                let (inner, device) = (Arc::clone(&self), device.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(RETRY).await;
                    inner.devices.statuses.add(device);
                });
            }
            self.devices.statuses.done(&device);
        }
    }

    async fn sync(&self, device: &DeviceName) -> Result<(), StatusError> {
        let began = Instant::now();
        if self.due(device)?.is_none() {
            return Ok(());
        }
        self.budget.take().await;
        // What is written is what stands now, not what stood before the wait.
        let Some((uid, status)) = self.due(device)? else { return Ok(()) };
        self.write(device, &uid, &status).await?;
        metrics::histogram!(names::STATUS_TIME).record(began.elapsed().as_secs_f64());
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        written.insert(device.clone(), (uid, status.digest()));
        Ok(())
    }

    /// The status to be written, if another one was written last.
    fn due(&self, device: &DeviceName) -> Result<Option<(String, Status)>, StatusError> {
        let known =
            self.devices.desired().device(device).map(|known| (known.uid.clone(), known.node.clone()));
        let Some((uid, Some(node))) = known else { return Ok(None) };
        let Some(status) = self.status(device, &node)? else { return Ok(None) };
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        match written.get(device) {
            Some((of, _)) if *of != uid => drop(written.remove(device)),
            Some((_, digest)) if *digest == status.digest() => return Ok(None),
            _ => {}
        }
        Ok(Some((uid, status)))
    }

    fn status(&self, device: &DeviceName, node: &NodeName) -> Result<Option<Status>, StatusError> {
        let (stream, reader) = (StreamId::Up(node.clone()), &self.devices.log.reader);
        let Some(head) = reader.head(&stream)? else { return Ok(None) };
        let (prefix, state_key) = (up::twin_prefix(device), up::state_key(device));
        let rows = records::rows(reader, &stream, prefix.as_bytes())?;
        let mut twins: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut state = reader.row(&stream, &state_key)?;
        let applied = Position { epoch: head.base.epoch, seq: head.cursor.applied };
        let overlay = |key: &[u8]| self.devices.sessions.overlay(node, applied, key).map(|(_, rows)| rows);
        for row in rows.into_iter().chain(overlay(prefix.as_bytes()).into_iter().flatten()) {
            let name =
                row.key.strip_prefix(prefix.as_bytes()).and_then(|name| std::str::from_utf8(name).ok());
            twins.extend(name.map(|name| (name.to_owned(), row.value.clone())));
        }
        let ahead = overlay(&state_key).into_iter().flatten().find(|row| row.key == state_key);
        state = ahead.map(|row| row.value).or(state);
        Ok(Status::of(head.base.epoch, &twins, state.as_deref())?)
    }

    async fn write(&self, device: &DeviceName, uid: &str, status: &Status) -> Result<(), StatusError> {
        let api = self.devices.client.namespaced(Kind::DeviceStatus, &device.namespace);
        let first = !self.written.lock().unwrap_or_else(PoisonError::into_inner).contains_key(device);
        let owner = json!([{
            "apiVersion": Kind::Device.api_version(),
            "kind": Kind::Device.kind(),
            "name": device.name,
            "uid": uid,
        }]);
        let mut patch = json!({ "status": status.patch() });
        if first {
            patch["metadata"] = json!({ "ownerReferences": owner });
        }
        if merge(&api, CONTROLLER, &device.name, false, &patch).await? == Patched::Done {
            return Ok(());
        }
        let mut object = json!({
            "apiVersion": Kind::DeviceStatus.api_version(),
            "kind": Kind::DeviceStatus.kind(),
            "metadata": { "name": device.name, "namespace": device.namespace, "ownerReferences": owner },
            "status": status.patch(),
        });
        if let Some(fields) = object["status"].as_object_mut() {
            fields.retain(|_, value| !value.is_null());
        }
        match create(&api, CONTROLLER, object).await {
            // The namespace has gone, and the device with it.
            Err(error) if status_code(&error) == Some(404) => Ok(()),
            created => Ok(created?),
        }
    }
}

/// The device that a row of `up` is about.
fn device_of(key: &[u8]) -> Option<DeviceName> {
    let key = std::str::from_utf8(key).ok()?;
    let rest = key.strip_prefix(TWIN).or_else(|| key.strip_prefix(STATE))?;
    let mut parts = rest.splitn(3, '/');
    DeviceName::new(parts.next()?, parts.next()?).ok()
}
