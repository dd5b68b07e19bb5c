//! The task that tells devices what the cloud wants of them.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::time::Duration;

use ledge_core::journal::Draft;
use ledge_core::log::{Reader, StoreError};
use ledge_core::view::up;
use ledge_log::{Class, WriteError, WriterHandle};
use ledge_mqtt::{PublishError, Publisher};
use ledge_process::metrics::Health;
use ledge_schemas::kinds::up::DeviceForgotten;
use ledge_schemas::{Cause, DeviceName, NodeName, StreamId};
use tokio_util::sync::CancellationToken;

use super::changes::{ANNOUNCED, Announced, Changes, DEVICES, changes};
use crate::devicetwin::{Facts, LoadError, Reply, StoreFacts, device, membership, reply};
use crate::metric_definitions::DELTAS;
use crate::store::{Log, LogReader};

/// Between two tries after a failure.
const RETRY: Duration = Duration::from_secs(5);
/// This part's name in the process's health.
const PART: &str = "metamanager";

/// See the module.
pub struct Announcer {
    node: NodeName,
    down: StreamId,
    writer: WriterHandle<Log>,
    reader: LogReader,
    publisher: Publisher,
    health: Health,
    announced: Option<Announced>,
    known: BTreeSet<DeviceName>,
}

impl std::fmt::Debug for Announcer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Announcer").field("announced", &self.announced).finish_non_exhaustive()
    }
}

/// Why an announcement has to be made again.
#[derive(Debug, thiserror::Error)]
enum AnnounceError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Publish(#[from] PublishError),
    #[error("what was announced could not be written down: {0}")]
    Write(#[from] WriteError<StoreError>),
}

impl Announcer {
    /// Reads how far a former process was.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        node: NodeName,
        writer: WriterHandle<Log>,
        reader: LogReader,
        publisher: Publisher,
        health: Health,
    ) -> Result<Self, StoreError> {
        let announced = reader.local(ANNOUNCED)?.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let known: Vec<String> =
            reader.local(DEVICES)?.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        let known = known.iter().filter_map(|name| name.parse().ok()).collect();
        let down = StreamId::Down(node.clone());
        Ok(Self { node, down, writer, reader, publisher, health, announced, known })
    }

    /// Announces until told to stop.
    ///
    /// # Errors
    /// None; the type is the stage's.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), Infallible> {
        let mut tail = self.writer.watch(&self.down);
        loop {
            tail.mark_unchanged();
            let announced = tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                announced = self.announce() => announced,
            };
            let retry = match announced {
                Ok(()) => {
                    self.health.resolved(PART);
                    None
                }
                Err(error) => {
                    tracing::warn!(%error, "devices could not be told what changed; trying again");
                    self.health.problem(PART, error.to_string());
                    Some(RETRY)
                }
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(()),
                // The sender lives in the writer's handle, which is ours.
                _ = tail.changed() => {}
                () = tokio::time::sleep(retry.unwrap_or(Duration::MAX)), if retry.is_some() => {}
            }
        }
    }

    async fn announce(&mut self) -> Result<(), AnnounceError> {
        let facts = StoreFacts::new(&self.reader, &self.node);
        let found = changes(&self.reader, &facts, &self.down, self.announced, &self.known)?;
        let Some(changes) = found else { return Ok(()) };
        for reply in self.messages(&facts, &changes)? {
            self.publisher.publish(&reply.topic, reply.payload.into(), 1, false).await?;
        }
        self.write_down(&changes).await?;
        self.announced = Some(changes.next);
        self.known = changes.devices;
        Ok(())
    }

    fn messages(&self, facts: &impl Facts, changes: &Changes) -> Result<Vec<Reply>, LoadError> {
        let now = crate::eventbus::now();
        let member = |name: &DeviceName| {
            Ok::<_, LoadError>((name.clone(), device::load(facts, name)?.and_then(|device| device.state)))
        };
        let added = changes.added.iter().map(member).collect::<Result<Vec<_>, _>>()?;
        let removed: Vec<_> = changes.removed.iter().map(|name| (name.clone(), None)).collect();
        let mut messages: Vec<_> =
            membership::updated(&self.node, &added, &removed, &now).into_iter().collect();
        for name in &changes.touched {
            let Some(device) = device::load(facts, name)? else { continue };
            let wished = device.properties.values().filter_map(|property| property.desired.as_ref());
            let is_new = |seq| changes.since.is_none_or(|since| seq > since);
            if wished.map(|wish| wish.position.seq).any(is_new)
                && let Some(delta) = reply::delta(&device, &crate::eventbus::now())
            {
                metrics::counter!(DELTAS).increment(1);
                messages.push(delta);
            }
        }
        Ok(messages)
    }

    /// Devices that left are forgotten in the same transaction in which the announcement is noted.
    async fn write_down(&self, changes: &Changes) -> Result<(), AnnounceError> {
        let json = |error: serde_json::Error| StoreError::Failed(error.to_string());
        let announced = serde_json::to_vec(&changes.next).map_err(json)?;
        let devices = match changes.devices == self.known {
            true => None,
            false => {
                let names: Vec<_> = changes.devices.iter().map(DeviceName::to_string).collect();
                Some(serde_json::to_vec(&names).map_err(json)?)
            }
        };
        let (up, removed) = (StreamId::Up(self.node.clone()), changes.removed.clone());
        let cause = Cause { stream: self.down.clone(), position: changes.position };
        let command = move |txn: &mut ledge_core::journal::Txn<'_, Log>| {
            for name in &removed {
                let twins = txn.rows(&up, up::twin_prefix(name).as_bytes())?;
                if twins.is_empty() && txn.row(&up, &up::state_key(name))?.is_none() {
                    continue;
                }
                let draft = Draft::new(name.to_string(), &DeviceForgotten {})
                    .map_err(|error| StoreError::Failed(error.to_string()))?;
                let (cause, seen) = (Some(cause.clone()), Some(cause.position));
                txn.append(&up, Draft { cause, seen, ..draft })?;
            }
            txn.set_local(ANNOUNCED, Some(announced));
            if let Some(devices) = devices {
                txn.set_local(DEVICES, Some(devices));
            }
            Ok::<(), StoreError>(())
        };
        Ok(self.writer.write(Class::Configuration, command).await?)
    }
}
